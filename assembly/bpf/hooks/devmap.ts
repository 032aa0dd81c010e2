// Elements of device and CPU maps.

@unmanaged export class DevValue {
  ifindex: u32;
  progId: u32;
  device: usize; // NetDevice
  prog: usize; // BpfProg
}

export function devmapLookup(map: usize, key: u32): usize {
  return 0;
}
export function devmapNext(map: usize, after: i64): i64 {
  return -1;
}
export function devmapDeviceGone(device: usize): void {}
