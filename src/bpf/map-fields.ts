/**
 * Fields of a map's value that programs touch through helpers only: locks, timers, references, list and tree nodes. Follows
 * kernel/bpf/btf.c, btf_find_field.
 */
import { BtfKind, type Btf, type BtfType } from "./btf.ts";
import type { MapField } from "./verifier/types.ts";

const STRUCTS: Readonly<Record<string, MapField["kind"]>> = {
  bpf_spin_lock: "spin_lock",
  bpf_res_spin_lock: "res_spin_lock",
  bpf_timer: "timer",
  bpf_wq: "workqueue",
  bpf_task_work: "task_work",
  bpf_list_head: "list_head",
  bpf_list_node: "list_node",
  bpf_rb_root: "rb_root",
  bpf_rb_node: "rb_node",
  bpf_refcount: "refcount",
};

const KPTRS: Readonly<Record<string, MapField["kind"]>> = { kptr_untrusted: "kptr_unref", kptr: "kptr_ref", percpu_kptr: "kptr_percpu", uptr: "uptr" };

const MAX_DEPTH = 4;
const MAX_FIELDS = 11;

/** By offset. `id` is a structure, a data section, or something that has none. */
export function fieldsOf(btf: Btf, id: number): readonly MapField[] {
  const fields: MapField[] = [];
  const walk = (type: BtfType | undefined, base: number, depth: number): void => {
    if (depth > MAX_DEPTH || fields.length >= MAX_FIELDS) return;
    if (type?.kind === BtfKind.STRUCT) for (const { type: member, offset, bits } of type.members!) if (bits === 0) add(member, base + offset / 8, depth);
    if (type?.kind === BtfKind.DATASEC) for (const { type: variable, offset } of type.vars!) add(btf.type(variable)!.type!, base + offset, depth);
  };
  const add = (memberId: number, offset: number, depth: number): void => {
    let type = btf.resolved(memberId);
    let count = 1;
    let elementId = memberId;
    while (type?.kind === BtfKind.ARRAY && count <= MAX_FIELDS) {
      count *= type.count!;
      elementId = type.element!;
      type = btf.resolved(elementId);
    }
    if (type === undefined) return;
    const size = type.kind === BtfKind.PTR ? 8 : type.size;
    const one = (at: number): void => {
      if (type!.kind === BtfKind.STRUCT) {
        const kind = STRUCTS[type!.name];
        if (kind !== undefined) fields.push({ kind, offset: at, size: size! });
        else walk(type, at, depth + 1);
      } else if (type!.kind === BtfKind.PTR) {
        const tag = btf.type(type!.type!);
        const kind = tag?.kind === BtfKind.TYPE_TAG ? KPTRS[tag.name] : undefined;
        if (kind !== undefined) fields.push({ kind, offset: at, size: 8, struct: btf.resolved(tag!.type!)?.name ?? "" });
      }
    };
    for (let i = 0; i < Math.min(count, MAX_FIELDS + 1); i++) one(offset + i * (size ?? 0));
  };
  walk(btf.resolved(id), 0, 0);
  return fields.sort((a, b) => a.offset - b.offset);
}
