/** The images of clusters whose containers have files and processes (src/shell): an explicit list. */
import { coredns } from "../../coredns/image.ts";
import { defineImage, type Image, type ProgramContext } from "../../cri/program.ts";
import { ExecutableNotFound } from "../program.ts";
import { pause } from "../pause.ts";
import { curl } from "../curl.ts";
import { loaded } from "../../time/loading.ts";
import { httpd, nginx } from "./web.ts";

export { anyImage } from "./any.ts";

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

/** A program that is loaded when it is first run. */
const later = (load: () => Promise<(context: ProgramContext) => Promise<number>>): { readonly program: (context: ProgramContext) => Promise<number> } =>
  ({ program: async (context) => (await loaded(load()))(context) });

const redis = defineImage({
  name: "redis:7.4", entrypoint: ["docker-entrypoint.sh"], cmd: ["redis-server"], workingDir: "/data", sizeBytes: 45_064_272, env: { REDIS_VERSION: "7.4.1" }, run: noProgram,
  files: {
    "/usr/local/bin/docker-entrypoint.sh": { text: '#!/bin/sh\nset -e\nif [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then\n  set -- redis-server "$@"\nfi\nexec "$@"\n', mode: 0o755 },
    "/usr/local/bin/redis-server": later(async () => (await import("./redis.ts")).server), "/usr/local/bin/redis-cli": later(async () => (await import("./redis.ts")).cli), "/data": { directory: true },
  },
});

const agnhostProgram = later(async () => (await import("./agnhost.ts")).agnhost);
const agnhost = defineImage({
  name: "registry.k8s.io/e2e-test-images/agnhost:2.53", entrypoint: ["/agnhost"], cmd: ["pause"], sizeBytes: 51_105_200, run: noProgram, base: "tools",
  files: { "/agnhost": agnhostProgram, "/usr/bin/curl": { program: curl } },
});

/** What looks at networks: the tools of a node, curl, a shell. */
const netshoot = defineImage({
  name: "nicolaka/netshoot:v0.13", entrypoint: [], cmd: ["sh"], sizeBytes: 202_560_000, run: noProgram, base: "tools", files: { "/usr/bin/curl": { program: curl } },
});

export const completeImages: readonly Image[] = [{ ...pause, base: "scratch", sizeBytes: 320_368 }, { ...coredns, base: "scratch", sizeBytes: 18_562_039 }, nginx, httpd, redis, curlImage, busybox, alpine, agnhost, netshoot];
