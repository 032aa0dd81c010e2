/** A page of a browser. */
import type { Platform } from "../../src/platform.ts";
import { webPlatform } from "../web.ts";

export const platform: Platform = /* @__PURE__ */ webPlatform("browser");
