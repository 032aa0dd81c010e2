/** Volumes of a runtime whose containers have no file systems: they can read them, and that is all. */
import type { Mount, Volume, VolumeFile, VolumeOptions } from "../../../cri/types.ts";

const bytesOf = (file: Uint8Array | VolumeFile): Uint8Array => ("bytes" in file ? file.bytes : file);

export function memoryVolume(_options: VolumeOptions = {}): Volume {
  let projected = new Map<string, Uint8Array>();
  const own = new Map<string, Uint8Array>();
  const all = (): Uint8Array[] => [...projected.values(), ...own.values()];
  return {
    setFiles(files) {
      projected = new Map([...files].map(([path, file]) => [path, bytesOf(file)]));
    },
    readFile: (path) => own.get(path) ?? projected.get(path),
    writeFile: (path, file) => void own.set(path, bytesOf(file)),
    list: (path) => [...own.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1)),
    usedBytes: () => all().reduce((sum, { length }) => sum + length, 0),
    usedInodes: () => all().length + 1,
  };
}

/** How a container reads its mounts there, the longest mount point first; then the kubelet's own files. */
export function mountReader(mounts: readonly Mount[], own: Readonly<Record<string, Uint8Array>>): (path: string) => Uint8Array | undefined {
  const sorted = mounts.map(({ mountPath, volume, subPath = "" }) => {
    // A subPath keeps the file it was made with.
    const kept = subPath === "" ? undefined : volume.readFile(subPath);
    return { at: mountPath.replace(/\/+$/, ""), volume, sub: subPath, kept };
  }).sort((a, b) => b.at.length - a.at.length);
  return (path) => {
    for (const { at, volume, sub, kept } of sorted) {
      if (path !== at && !path.startsWith(`${at}/`)) continue;
      const rest = path.slice(at.length + 1);
      if (rest === "") return kept;
      return volume.readFile(sub === "" ? rest : `${sub}/${rest}`);
    }
    return own[path];
  };
}
