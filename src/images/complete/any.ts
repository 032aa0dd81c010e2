/** What stands for an image that is in no registry (`--any-image`): answers on the container's ports, whatever it is told to run. */
import { defineImage, type Image, type ProgramContext } from "../../cri/program.ts";
import { httpDate } from "../../http/message.ts";
import { serveHttp } from "../../http/server.ts";
import { ExecutableNotFound, stopped, utf8 } from "../program.ts";

/** TCP ports answer HTTP with 200 and the pod's name, UDP ports with the pod's name. */
async function answer({ argv, pid, ports, net, signal, hostname, clock, stdout }: ProgramContext): Promise<number> {
  if (pid !== 1) throw new ExecutableNotFound(argv[0] ?? "");
  const body = utf8(`${hostname}\n`);
  for (const { containerPort, protocol = "TCP" } of ports) {
    if (protocol === "UDP") {
      const socket = net.udp({ local: { port: containerPort } });
      void (async () => {
        for (;;) {
          const { from, to } = await socket.receive(signal);
          socket.send(body, from, to);
        }
      })().catch(() => {});
    }
    if (protocol !== "TCP") continue;
    void serveHttp({
      net, port: containerPort, signal,
      handler: ({ method, target, version }) => {
        stdout(`${method} ${target} ${version}\n`);
        return { status: 200, reason: "OK", headers: [["Date", httpDate(clock.nowMs())], ["Content-Type", "text/plain"]], body };
      },
    }).catch((error: unknown) => stdout(`${error instanceof Error ? error.message : String(error)}\n`));
  }
  await stopped(signal);
  return 0;
}

/** The image of a name that is in no registry. */
export const anyImage = (name: string): Image => defineImage({ name, entrypoint: ["/entrypoint"], run: answer });
