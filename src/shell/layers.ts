/** Layers of images: trees that containers share until they write to them. */
import type { Image, ImageFile } from "../cri/program.ts";
import { APPLETS } from "./applets/index.ts";
import { toolApplets } from "./applets/net.ts";
import { byteString, toBytes } from "./os/bytes.ts";
import type { LayerDir, LayerEntry } from "./os/nodes.ts";
import type { Main } from "./os/process.ts";
import { contextMain } from "./program-context.ts";

type MutableDir = { readonly kind: "dir"; mode?: number; readonly uid?: number; readonly gid?: number; readonly entries: Map<string, LayerEntry> };

/** A directory out of entries by path; directories that are not named are made. */
export function layer(files: Readonly<Record<string, LayerEntry>>, below?: LayerDir): LayerDir {
  const root: MutableDir = { kind: "dir", mode: 0o755, entries: new Map(below?.entries) };
  for (const path of Object.keys(files)) {
    const parts = path.split("/").filter((part) => part !== "");
    let at = root;
    parts.forEach((part, i) => {
      if (i === parts.length - 1) {
        const entry = files[path]!, there = at.entries.get(part);
        at.entries.set(part, entry.kind === "dir" && there?.kind === "dir" ? { ...entry, entries: new Map([...there.entries, ...entry.entries]) } : entry);
        return;
      }
      const there = at.entries.get(part);
      const next: MutableDir = there?.kind === "dir" ? { ...there, entries: new Map(there.entries) } : { kind: "dir", mode: 0o755, entries: new Map() };
      at.entries.set(part, next);
      at = next;
    });
  }
  return root;
}

export const textFile = (text: string, mode = 0o644): LayerEntry => ({ kind: "file", bytes: toBytes(byteString(text)), mode });
export const program = (main: Main): LayerEntry => ({ kind: "program", main });
export const linkTo = (target: string): LayerEntry => ({ kind: "link", target });
export const directory = (mode = 0o755, uid = 0, gid = 0): LayerDir => ({ kind: "dir", mode, uid, gid, entries: new Map() });

const ACCOUNTS = {
  "/etc/passwd": textFile("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nsys:x:3:3:sys:/dev:/bin/false\nsync:x:4:100:sync:/bin:/bin/sync\n" +
    "mail:x:8:8:mail:/var/spool/mail:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\noperator:x:37:37:Operator:/var:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
  "/etc/group": textFile("root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\nmail:x:8:\nkmem:x:9:\nwheel:x:10:root\ncdrom:x:11:\ndialout:x:18:\nfloppy:x:19:\nvideo:x:28:\n" +
    "audio:x:29:\ntape:x:32:\nwww-data:x:33:\noperator:x:37:\nutmp:x:43:\nplugdev:x:46:\nstaff:x:50:\nlock:x:54:\nnetdev:x:82:\nusers:x:100:\nnobody:x:65534:\n"),
  "/etc/shadow": textFile("root:*:10933:0:99999:7:::\nnobody:*:10933:0:99999:7:::\n", 0o640),
  "/etc/nsswitch.conf": textFile("hosts: files dns\n"),
  "/etc/localtime": textFile("TZif2\0"),
};

const PLACES = { "/home": directory(), "/root": directory(0o700), "/tmp": directory(0o1777), "/usr/sbin": directory(), "/usr/bin": directory(), "/usr/local/bin": directory(), "/var/spool/mail": directory(),
  "/var/www": directory(), "/var/log": directory(), "/var/run": directory(), "/run": directory(), "/opt": directory(), "/sbin": directory(), "/lib": directory() };

const shared: { busybox?: LayerDir; tools?: LayerDir } = {};

/** What the busybox image holds: every applet in /bin. */
export function busyboxLayer(): LayerDir {
  if (shared.busybox !== undefined) return shared.busybox;
  const files: Record<string, LayerEntry> = { ...PLACES, ...ACCOUNTS };
  for (const name of Object.keys(APPLETS).sort()) files[`/bin/${name}`] = program(APPLETS[name]!);
  files["/usr/bin/env"] = program(APPLETS["env"]!);
  return (shared.busybox = layer(files));
}

/** busybox, and what looks at networks. */
function toolsLayer(): LayerDir {
  const files: Record<string, LayerEntry> = {};
  for (const name of Object.keys(toolApplets)) files[`/usr/sbin/${name}`] = program(toolApplets[name]!);
  return (shared.tools ??= layer(files, busyboxLayer()));
}

const layers = new WeakMap<Image, LayerDir>();

/** An image's root directory. */
export function layerOf(image: Image): LayerDir {
  const known = layers.get(image);
  if (known !== undefined) return known;
  const own: Record<string, LayerEntry> = {};
  for (const path of Object.keys(image.files ?? {})) own[byteString(path)] = entryOf(image.files![path]!);
  const made = layer(own, image.base === "scratch" ? layer({ "/tmp": directory(0o1777) }) : image.base === "tools" ? toolsLayer() : busyboxLayer());
  layers.set(image, made);
  return made;
}

function entryOf(file: ImageFile): LayerEntry {
  if (typeof file === "string") return textFile(file);
  if (file instanceof Uint8Array) return { kind: "file", bytes: file };
  if ("text" in file) return textFile(file.text, file.mode);
  if ("link" in file) return linkTo(byteString(file.link));
  if ("directory" in file) return directory(file.mode);
  return program(contextMain(file.program));
}
