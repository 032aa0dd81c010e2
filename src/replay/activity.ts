/**
 * What programs did while a recording of listings was made (`activity` in cli-outputs.json), done again by sockets of this kernel. The
 * recording tells it in a sentence; the ports of the client, of the servers and the bytes they exchanged are those of the listings.
 */
import type { Netns } from "../kernel/netns.ts";
import { SocketError, type TcpStream, type UdpSocket } from "../kernel/sockets.ts";
import type { SocketProgram } from "../tools/tool.ts";
import type { SocketInfo } from "../tools/sockets.ts";
import type { Machine } from "./machine.ts";

const TRAFFIC = "ns2 pings ns1 (v4, v6), opens TCP to ns1:8080 through DNAT :80, keeps one open, UDP answered (53) and unanswered (5555), " +
  "SYN to a closed port, ns2 as client";
const SERVER = "10.11.0.1";
const SERVER6 = "fd00:aa::1";
const CLIENT = "10.11.0.2";

/** Does what the sentence says, between the machine's namespaces. False: it says nothing that is known here. */
export async function perform(machine: Machine, activity: string): Promise<boolean> {
  if (activity !== TRAFFIC) return false;
  const [server, client] = [machine.namespaces.get("<ns1>"), machine.namespaces.get("<ns2>")];
  if (server === undefined || client === undefined) throw new Error("the recorded traffic needs two namespaces");
  await traffic(machine, server, client);
  return true;
}

async function traffic(machine: Machine, server: Netns, client: Netns): Promise<void> {
  /** Lets the kernel and those who wait for it go on until the promise is settled. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    const end = (): void => {
      done = true;
    };
    promise.then(end, end);
    for (let turns = 0; turns < 100 && !done; turns++) {
      await Promise.resolve();
      if (!done) machine.run(1);
    }
    if (!done) throw new Error("the recorded traffic got no answer");
    return promise;
  };
  /** What a program may have open for as long as the machine runs. */
  const owner = (netns: Netns): ((protocol: "tcp" | "udp", port: number, remotePort: number, fd: number) => void) => {
    const fds = new Map<string, number>();
    machine.programs.set(netns, ({ netid, port, remotePort, state }: SocketInfo): SocketProgram | undefined => {
      const fd = state === "TIME-WAIT" ? undefined : fds.get(`${netid} ${port} ${remotePort}`);
      return fd === undefined ? undefined : { name: "python3", pid: 10000, fd };
    });
    return (protocol, port, remotePort, fd) => void fds.set(`${protocol} ${port} ${remotePort}`, fd);
  };
  const serverHas = owner(server);
  const clientHas = owner(client);

  const web = server.sockets.listen({ address: "0.0.0.0", port: 8080 }, { backlog: 5 });
  const both = server.sockets.listen({ address: "::", port: 9090 }, { backlog: 5 });
  server.sockets.listen({ address: "127.0.0.1", port: 7000 }, { backlog: 5 });
  const dns = server.sockets.udp({ local: { address: "0.0.0.0", port: 53 } });
  serverHas("tcp", 8080, 0, 3);
  serverHas("tcp", 9090, 0, 4);
  serverHas("tcp", 7000, 0, 7);
  serverHas("udp", 53, 0, 8);

  await settled(client.sockets.ping(SERVER));
  await settled(client.sockets.ping(SERVER6));
  /** A connection over which the client says `words`, and the server's end of it, which has read them. */
  const open = async (listener: typeof web, address: string, port: number, from: number, words: string): Promise<[TcpStream, TcpStream]> => {
    const connecting = client.sockets.connect({ address, port }, { local: { address: address === SERVER ? CLIENT : "::", port: from } });
    const [near, far] = await settled(Promise.all([connecting, listener.accept()]));
    if (words !== "") {
      await settled(near.write(Uint8Array.from(words, (letter) => letter.charCodeAt(0))));
      await settled(far.read());
    }
    return [near, far];
  };
  await open(web, SERVER, 80, 40001, "hello");
  serverHas("tcp", 8080, 40001, 6);
  clientHas("tcp", 40001, 80, 3);
  const [near, far] = await open(web, SERVER, 8080, 40002, "");
  // The server closes first: it is the one in TIME-WAIT.
  far.close();
  machine.run();
  near.close();
  machine.run();
  await settled(client.sockets.connect({ address: SERVER, port: 9999 }, { local: { port: 40003 } })).catch((error: unknown) => {
    if (!(error instanceof SocketError)) throw error;
  });
  await open(both, SERVER6, 9090, 40004, "x");
  serverHas("tcp", 9090, 40004, 5);
  clientHas("tcp", 40004, 9090, 5);

  const ask = (from: number, port: number): UdpSocket => {
    const socket = client.sockets.udp({ local: { address: "0.0.0.0", port: from } });
    socket.send(Uint8Array.of(1), { address: SERVER, port });
    return socket;
  };
  for (const [from, fd] of [[40005, 6], [40007, 8]] as const) {
    const asking = ask(from, 53);
    const { from: asker } = await settled(dns.receive());
    dns.send(Uint8Array.of(2), asker);
    await settled(asking.receive());
    clientHas("udp", from, 0, fd);
  }
  ask(40006, 5555);
  clientHas("udp", 40006, 0, 7);
  machine.run();
}
