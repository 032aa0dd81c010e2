/** `kubewire/kernel`: the kernel and its driver alone, without a cluster around it. */
export { createNodeKernel, type NodeKernelHandle, type NodeKernelOptions, type SentFrame } from "./kernel.ts";
export { deviceCalls, devices, openTap, type DeviceCalls, type FilterSpec, type QdiscInfo, type QdiscSpec, type Tap } from "./devices.ts";
export { KernelInstance, newKernelMemory, type RunStatus } from "./memory.ts";
export {
  IptablesError, KernelError, type ConntrackEntry, type ConntrackTuple, type FdbEntry, type Iptables, type LinkInfo, type LinkSpec,
  type Neigh, type NeighState, type Netns, type NodeKernel, type RouteSpec,
} from "./netns.ts";
export { SocketError, type Datagram, type SocketAddress, type Sockets, type TcpListener, type TcpStream, type UdpSocket } from "./sockets.ts";
export { runTool, type ToolHost, type ToolResult } from "../tools/index.ts";
export { nftOf, NftError, type Nft, type NftOptions } from "./nft/index.ts";
export {
  bindQueue, registerHook, type HeldPacket, type Hook, type PacketHandler, type PacketQueue, type QueueOptions, type Verdict, type Word,
} from "./queue.ts";
export { createIpset, type Ipset, type IpsetOutcome } from "./ipset.ts";
export { useFullIptables } from "./iptables/full.ts";
