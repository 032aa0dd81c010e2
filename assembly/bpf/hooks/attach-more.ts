// Attachments to namespaces and cgroups.
import { EINVAL } from "../../abi/core";
import { Link } from "./link";

export function attachMore(type: u32, prog: usize, link: usize, record: usize): i32 {
  return -EINVAL;
}
export function detachMore(type: u32, record: usize): i32 {
  return -EINVAL;
}
export function queryMore(type: u32, record: usize): i32 {
  return -EINVAL;
}
export function linkTakeMore(link: Link): void {}
export function linkUpdateMore(link: Link, prog: usize): void {}
