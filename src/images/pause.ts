/** The sandbox's own program: does nothing until it is told to stop. */
import { defineImage, type Image } from "../cri/program.ts";
import { dispatch, stopped } from "./program.ts";

export const pause: Image = defineImage({
  name: "registry.k8s.io/pause:3.10", entrypoint: ["/pause"],
  run: dispatch({
    pause: async ({ signal, stderr }) => {
      await stopped(signal);
      stderr("Shutting down, got signal: Terminated\n");
      return 0;
    },
  }),
});
