/** The images of clusters whose containers have files and processes (src/shell): an explicit list. */
import { coredns } from "../../coredns/image.ts";
import { defineImage, type Image } from "../../cri/program.ts";
import { ExecutableNotFound } from "../program.ts";
import { pause } from "../pause.ts";
import { curl } from "../curl.ts";
import { httpd, nginx } from "./web.ts";

const noProgram: Image["run"] = ({ argv }) => Promise.reject(new ExecutableNotFound(argv[0] ?? ""));

const busybox = defineImage({ name: "busybox:1.36", entrypoint: [], cmd: ["sh"], sizeBytes: 2_160_406, run: noProgram });

const alpine = defineImage({
  name: "alpine:3.20", entrypoint: [], cmd: ["/bin/sh"], sizeBytes: 3_634_744, run: noProgram,
  files: {
    "/etc/alpine-release": "3.20.3\n",
    "/etc/os-release": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\nHOME_URL="https://alpinelinux.org/"\n',
  },
});

const curlImage = defineImage({
  name: "curlimages/curl:8.11.1", entrypoint: ["/entrypoint.sh"], cmd: ["curl"], sizeBytes: 9_555_912, user: { uid: 100, gid: 101 }, run: noProgram,
  files: {
    "/usr/bin/curl": { program: curl },
    "/entrypoint.sh": { text: '#!/bin/sh\nif [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null 2>&1; then\n  set -- curl "$@"\nfi\nexec "$@"\n', mode: 0o755 },
  },
});

export const completeImages: readonly Image[] = [{ ...pause, base: "scratch", sizeBytes: 320_368 }, { ...coredns, base: "scratch", sizeBytes: 18_562_039 }, nginx, httpd, curlImage, busybox, alpine];
