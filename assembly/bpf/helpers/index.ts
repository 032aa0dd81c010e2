// Helpers and kfuncs by number: one switch, into files by subject. Arguments and results are r1 to r5 and r0; an error is -errno as a u64.
import { EINVAL } from "../../abi/core";
import { bpfCurrent } from "../run";
import { dynptrKfunc } from "./dynptr";
import { genericHelper } from "./generic";
import { plainKfunc } from "./kfunc";
import { isMapHelper, mapHelper } from "./maps";
import { packetHelper } from "./packet";
import { stringKfunc } from "./string";

/** Whose helper a number is. */
const NOBODY: u32 = 0, GENERIC: u32 = 1, PACKET: u32 = 2, DYNPTR: u32 = 3, STRING: u32 = 4, PLAIN: u32 = 5, MAPS: u32 = 6;

function owner(id: u32): u32 {
  switch (id) {
    case 4: case 5: case 6: case 7: case 8: case 14: case 15: case 16: case 28: case 35: case 42: case 45: case 80: case 93: case 94: case 105:
    case 106: case 112: case 113: case 114: case 115: case 118: case 125: case 148: case 158: case 160: case 165: case 173: case 174: case 177:
    case 181: case 182: case 183: case 184: case 185: case 197: case 201: case 202: case 203: case 208:
      return GENERIC;
    case 9: case 10: case 11: case 13: case 17: case 18: case 19: case 23: case 24: case 26: case 31: case 32: case 34: case 38: case 39: case 40:
    case 41: case 43: case 44: case 48: case 50: case 51: case 54: case 65: case 68: case 69: case 97: case 135: case 151: case 152: case 155: case 163:
    case 188: case 189: case 190: case 192:
    case 46: case 47: case 49: case 57: case 64: case 79: case 83: case 84: case 85: case 86: case 95: case 96: case 98: case 99: case 122: case 124:
    case 128: case 129: case 136: case 137: case 138: case 139: case 140: case 178: case 186: case 187:
      return PACKET;
    default: return isMapHelper(id) ? MAPS : id >= 0x10000 ? kfuncOwner(id) : NOBODY;
  }
}

function kfuncOwner(id: u32): u32 {
  if (id >= 0x10003 && id <= 0x1000d) return DYNPTR;
  if (id >= 0x10055 && id <= 0x10060) return STRING;
  if (id <= 0x10002 || (id >= 0x1001e && id <= 0x10025) || (id >= 0x10051 && id <= 0x10054) || (id >= 0x10061 && id <= 0x10063)) return PLAIN;
  return NOBODY;
}

/** Is there a helper or kfunc (0x10000 and up) of this number? */
export function bpfHelperKnown(id: i32): bool {
  return id > 0 && (id == 12 || owner(id) != NOBODY);
}

/** Calls helper or kfunc `id` for the program that is running. */
export function bpfHelper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  bpfCurrent().helper = id;
  switch (owner(id)) {
    case GENERIC: return genericHelper(id, r1, r2, r3, r4, r5);
    case PACKET: return packetHelper(id, r1, r2, r3, r4, r5);
    case MAPS: return mapHelper(id, r1, r2, r3, r4, r5);
    case DYNPTR: return dynptrKfunc(id, r1, r2, r3, r4, r5);
    case STRING: return stringKfunc(id, r1, r2, r3);
    case PLAIN: return plainKfunc(id, r1, r2, r3);
    default: return <u64><i64>-EINVAL;
  }
}
