// Attachments to namespaces and cgroups.
import { ATTACH_TYPE } from "../../abi/bpf-attach";
import { EINVAL } from "../../abi/core";
import { cgroupAttach, cgroupDetach, cgroupLinkTake, cgroupLinkUpdate, cgroupQuery, isCgroupType } from "./cgroup";
import { Link } from "./link";

export function attachMore(type: u32, prog: usize, link: usize, record: usize): i32 {
  return isCgroupType(type) ? cgroupAttach(type, prog, link, record) : -EINVAL;
}

export function detachMore(type: u32, record: usize): i32 {
  return isCgroupType(type) ? cgroupDetach(type, record) : -EINVAL;
}

export function queryMore(type: u32, record: usize): i32 {
  return isCgroupType(type) ? cgroupQuery(type, record) : -EINVAL;
}

export function linkTakeMore(link: Link): void {
  if (isCgroupType(link.type)) cgroupLinkTake(link);
}

export function linkUpdateMore(link: Link, prog: usize): void {
  if (isCgroupType(link.type)) cgroupLinkUpdate(link, prog);
}
