/** The images in the box: an explicit list. */
import { coredns } from "../coredns/image.ts";
import type { Image } from "../cri/program.ts";
import { busybox } from "./busybox.ts";
import { curlImage } from "./curl.ts";
import { pause } from "./pause.ts";
import { httpd, nginx } from "./web.ts";

export const inBoxImages: readonly Image[] = [pause, coredns, nginx, httpd, curlImage, busybox];
export { imageRegistry, type ImageRegistry } from "./registry.ts";
