/**
 * The functions that rules may call, by name: those of CEL (cel-go common/stdlib, ext/strings, ext/sets, optional types) and of
 * Kubernetes (k8s.io/apiserver/pkg/cel/library). One line per overload: `name|target.(arguments) result`, `name|(arguments) result`.
 */
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, NULL, STRING, TIMESTAMP, UINT } from "./types.ts";
import type { Type } from "./types.ts";

export interface Overload {
  readonly target: Type | undefined;
  readonly args: readonly Type[];
  readonly result: Type;
}

const LINES = `
_&&_|(bool,bool) bool
_||_|(bool,bool) bool
!_|(bool) bool
_?_:_|(bool,A,A) A
_==_|(A,A) bool
_!=_|(A,A) bool
@in|(A,list(A)) bool
@in|(A,map(A,B)) bool
_[_]|(list(A),int) A
_[_]|(map(A,B),A) B
_[_]|(optional(list(A)),int) optional(A)
_[_]|(optional(map(A,B)),A) optional(B)
_[?_]|(list(A),int) optional(A)
_[?_]|(map(A,B),A) optional(B)
_[?_]|(optional(list(A)),int) optional(A)
_[?_]|(optional(map(A,B)),A) optional(B)
-_|(int) int
-_|(double) double
_+_|(int,int) int
_+_|(uint,uint) uint
_+_|(double,double) double
_+_|(string,string) string
_+_|(bytes,bytes) bytes
_+_|(list(A),list(A)) list(A)
_+_|(timestamp,duration) timestamp
_+_|(duration,timestamp) timestamp
_+_|(duration,duration) duration
_-_|(int,int) int
_-_|(uint,uint) uint
_-_|(double,double) double
_-_|(timestamp,timestamp) duration
_-_|(timestamp,duration) timestamp
_-_|(duration,duration) duration
_*_|(int,int) int
_*_|(uint,uint) uint
_*_|(double,double) double
_/_|(int,int) int
_/_|(uint,uint) uint
_/_|(double,double) double
_%_|(int,int) int
_%_|(uint,uint) uint
size|(string) int
size|(bytes) int
size|(list(A)) int
size|(map(A,B)) int
size|string.() int
size|bytes.() int
size|list(A).() int
size|map(A,B).() int
type|(A) type(A)
dyn|(A) dyn
int|(int) int
int|(uint) int
int|(double) int
int|(string) int
int|(timestamp) int
int|(duration) int
uint|(uint) uint
uint|(int) uint
uint|(double) uint
uint|(string) uint
double|(double) double
double|(int) double
double|(uint) double
double|(string) double
bool|(bool) bool
bool|(string) bool
string|(string) string
string|(bool) string
string|(int) string
string|(uint) string
string|(double) string
string|(bytes) string
string|(timestamp) string
string|(duration) string
string|(IP) string
string|(CIDR) string
bytes|(bytes) bytes
bytes|(string) bytes
duration|(duration) duration
duration|(string) duration
duration|(int) duration
timestamp|(timestamp) timestamp
timestamp|(string) timestamp
timestamp|(int) timestamp
contains|string.(string) bool
startsWith|string.(string) bool
endsWith|string.(string) bool
matches|string.(string) bool
matches|(string,string) bool
charAt|string.(int) string
indexOf|string.(string) int
indexOf|string.(string,int) int
indexOf|list(A).(A) int
lastIndexOf|string.(string) int
lastIndexOf|string.(string,int) int
lastIndexOf|list(A).(A) int
lowerAscii|string.() string
upperAscii|string.() string
replace|string.(string,string) string
replace|string.(string,string,int) string
split|string.(string) list(string)
split|string.(string,int) list(string)
substring|string.(int) string
substring|string.(int,int) string
trim|string.() string
join|list(string).() string
join|list(string).(string) string
format|string.(list(dyn)) string
strings.quote|(string) string
isSorted|list(int).() bool
isSorted|list(uint).() bool
isSorted|list(double).() bool
isSorted|list(bool).() bool
isSorted|list(duration).() bool
isSorted|list(timestamp).() bool
isSorted|list(string).() bool
isSorted|list(bytes).() bool
sum|list(int).() int
sum|list(uint).() uint
sum|list(double).() double
sum|list(duration).() duration
max|list(int).() int
max|list(uint).() uint
max|list(double).() double
max|list(bool).() bool
max|list(duration).() duration
max|list(timestamp).() timestamp
max|list(string).() string
max|list(bytes).() bytes
min|list(int).() int
min|list(uint).() uint
min|list(double).() double
min|list(bool).() bool
min|list(duration).() duration
min|list(timestamp).() timestamp
min|list(string).() string
min|list(bytes).() bytes
find|string.(string) string
findAll|string.(string) list(string)
findAll|string.(string,int) list(string)
url|(string) URL
isURL|(string) bool
getScheme|URL.() string
getHost|URL.() string
getHostname|URL.() string
getPort|URL.() string
getEscapedPath|URL.() string
getQuery|URL.() map(string,list(string))
quantity|(string) Quantity
isQuantity|(string) bool
isInteger|Quantity.() bool
asInteger|Quantity.() int
asApproximateFloat|Quantity.() double
sign|Quantity.() int
add|Quantity.(Quantity) Quantity
add|Quantity.(int) Quantity
sub|Quantity.(Quantity) Quantity
sub|Quantity.(int) Quantity
isLessThan|Quantity.(Quantity) bool
isGreaterThan|Quantity.(Quantity) bool
compareTo|Quantity.(Quantity) int
ip|(string) IP
ip|CIDR.() IP
isIP|(string) bool
ip.isCanonical|(string) bool
family|IP.() int
isUnspecified|IP.() bool
isLoopback|IP.() bool
isLinkLocalMulticast|IP.() bool
isLinkLocalUnicast|IP.() bool
isGlobalUnicast|IP.() bool
cidr|(string) CIDR
isCIDR|(string) bool
containsIP|CIDR.(string) bool
containsIP|CIDR.(IP) bool
containsCIDR|CIDR.(string) bool
containsCIDR|CIDR.(CIDR) bool
masked|CIDR.() CIDR
prefixLength|CIDR.() int
format.named|(string) optional(Format)
validate|Format.(string) optional(list(string))
sets.contains|(list(A),list(A)) bool
sets.equivalent|(list(A),list(A)) bool
sets.intersects|(list(A),list(A)) bool
optional.of|(A) optional(A)
optional.ofNonZeroValue|(A) optional(A)
optional.none|() optional(A)
hasValue|optional(A).() bool
value|optional(A).() A
or|optional(A).(optional(A)) optional(A)
orValue|optional(A).(A) A
`;

/** The formats of `format.NAME()`. */
export const NAMED_FORMATS = [
  "dns1123Label", "dns1123Subdomain", "dns1035Label", "dns1123LabelPrefix", "dns1123SubdomainPrefix", "dns1035LabelPrefix", "qualifiedName", "labelValue", "uri", "uuid",
  "byte", "date", "datetime",
] as const;

const COMPARED = ["bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"];
/** Numbers compare across their types. */
const CROSSED = [["int", "double"], ["int", "uint"], ["uint", "double"], ["uint", "int"], ["double", "int"], ["double", "uint"]];
const CALENDAR = ["getFullYear", "getMonth", "getDayOfYear", "getDate", "getDayOfMonth", "getDayOfWeek"];
const CLOCK = ["getHours", "getMinutes", "getSeconds", "getMilliseconds"];

const SCALARS: Readonly<Record<string, Type>> = {
  bool: BOOL, int: INT, uint: UINT, double: DOUBLE, string: STRING, bytes: BYTES, duration: DURATION, timestamp: TIMESTAMP, dyn: DYN, null: NULL,
  URL: { k: "opaque", name: "kubernetes.URL" }, Quantity: { k: "opaque", name: "kubernetes.Quantity" }, IP: { k: "opaque", name: "net.IP" },
  CIDR: { k: "opaque", name: "net.CIDR" }, Format: { k: "opaque", name: "kubernetes.NamedFormat" },
};

let overloads: Map<string, Overload[]> | undefined;

/** The overloads of a function; undefined when there is no function of this name. */
export function overloadsOf(name: string): readonly Overload[] | undefined {
  overloads ??= parseAll();
  return overloads.get(name);
}

function parseAll(): Map<string, Overload[]> {
  const out = new Map<string, Overload[]>();
  const add = (line: string): void => {
    const bar = line.indexOf("|");
    const name = line.startsWith("_||_") ? "_||_" : line.slice(0, bar);
    const overload = parseSignature(line.slice(name.length + 1));
    const known = out.get(name);
    if (known === undefined) out.set(name, [overload]);
    else known.push(overload);
  };
  for (const line of LINES.split("\n")) if (line !== "") add(line);
  for (const op of ["_<_", "_<=_", "_>_", "_>=_"]) {
    for (const type of COMPARED) add(`${op}|(${type},${type}) bool`);
    for (const [a, b] of CROSSED) add(`${op}|(${a},${b}) bool`);
  }
  for (const name of CALENDAR) for (const args of ["", "string"]) add(`${name}|timestamp.(${args}) int`);
  for (const name of CLOCK) for (const of of ["timestamp.()", "timestamp.(string)", "duration.()"]) add(`${name}|${of} int`);
  for (const name of NAMED_FORMATS) add(`format.${name}|() Format`);
  return out;
}

function parseSignature(text: string): Overload {
  let at = 0;
  const type = (): Type => {
    const word = /^\w+/.exec(text.slice(at))![0];
    at += word.length;
    if (text[at] !== "(") return SCALARS[word] ?? { k: "var", id: word };
    at++;
    const first = type();
    let second: Type | undefined;
    if (text[at] === ",") {
      at++;
      second = type();
    }
    at++;
    if (word === "list") return { k: "list", of: first };
    if (word === "map") return { k: "map", key: first, of: second! };
    return word === "type" ? { k: "type", of: first } : { k: "optional", of: first };
  };
  const target = text.startsWith("(") ? undefined : type();
  if (target !== undefined) at++;
  at++;
  const args: Type[] = [];
  while (text[at] !== ")") {
    if (text[at] === ",") at++;
    args.push(type());
  }
  at += 2;
  return { target, args, result: type() };
}
