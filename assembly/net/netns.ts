// Network namespaces: creation, look-up, end.
import { DROPS_MAX } from "../abi/net";
import { Netns } from "../layout";
import { HANDLE_NETNS, handleGet, handleNew } from "../mm/handle";
import { node } from "../mm/node";
import { kmalloc } from "../mm/slab";

/** The namespace behind a handle, or null (0). */
export function netnsGet(handle: u32): Netns {
  return changetype<Netns>(handleGet(HANDLE_NETNS, handle));
}

/** A new namespace with a loopback device (down, as Linux leaves it); null (0) when there is no memory. */
export function netnsCreate(): Netns {
  const n = node();
  const at = kmalloc(<u32>offsetof<Netns>());
  if (at == 0) return changetype<Netns>(0);
  const ns = changetype<Netns>(at);
  ns.drops = kmalloc(DROPS_MAX << 3);
  ns.handle = handleNew(HANDLE_NETNS, at);
  if (ns.drops == 0 || ns.handle == 0) return changetype<Netns>(0);
  ns.id = n.netnsNext++;
  ns.ifindexNext = 1;
  if (n.netns == 0) {
    n.netns = at;
  } else {
    let last = changetype<Netns>(n.netns);
    while (last.next != 0) last = changetype<Netns>(last.next);
    last.next = at;
  }
  return ns;
}
