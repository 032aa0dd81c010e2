/** What tc prints when asked for help or not understood, word by word (iproute2 6.1.0). */
const lines = (...all: readonly string[]): string => `${all.join("\n")}\n`;

export const TBF: string = lines(
  "Usage: ... tbf limit BYTES burst BYTES[/BYTES] rate KBPS [ mtu BYTES[/BYTES] ]",
  "\t[ peakrate KBPS ] [ latency TIME ] [ overhead BYTES ] [ linklayer TYPE ]",
);

export const HTB: string = lines(
  "Usage: ... qdisc add ... htb [default N] [r2q N]",
  "                      [direct_qlen P] [offload]",
  " default  minor id of class to which unclassified packets are sent {0}",
  " r2q      DRR quantums are computed as rate in Bps/r2q {10}",
  " debug    string of 16 numbers each 0-3 {0}",
  "",
  " direct_qlen  Limit of the direct queue {in packets}",
  " offload  enable hardware offload",
  "... class add ... htb rate R1 [burst B1] [mpu B] [overhead O]",
  "                      [prio P] [slot S] [pslot PS]",
  "                      [ceil R2] [cburst B2] [mtu MTU] [quantum Q]",
  " rate     rate allocated to this class (class can still borrow)",
  " burst    max bytes burst which can be accumulated during idle period {computed}",
  " mpu      minimum packet size used in rate computations",
  " overhead per-packet size overhead used in rate computations",
  " linklay  adapting to a linklayer e.g. atm",
  " ceil     definite upper class rate (no borrows) {rate}",
  " cburst   burst but for ceil {computed}",
  " mtu      max packet size we create rate map for {1600}",
  " prio     priority of leaf; lower are served first {0}",
  " quantum  how much bytes to serve from leaf at once {use r2q}",
  "",
  "TC HTB version 3.3",
);

export const NETEM: string = lines(
  "Usage: ... netem [ limit PACKETS ]",
  "                 [ delay TIME [ JITTER [CORRELATION]]]",
  "                 [ distribution {uniform|normal|pareto|paretonormal} ]",
  "                 [ corrupt PERCENT [CORRELATION]]",
  "                 [ duplicate PERCENT [CORRELATION]]",
  "                 [ loss random PERCENT [CORRELATION]]",
  "                 [ loss state P13 [P31 [P32 [P23 P14]]]",
  "                 [ loss gemodel PERCENT [R [1-H [1-K]]]",
  "                 [ ecn ]",
  "                 [ reorder PERCENT [CORRELATION] [ gap DISTANCE ]]",
  "                 [ rate RATE [PACKETOVERHEAD] [CELLSIZE] [CELLOVERHEAD]]",
  "                 [ slot MIN_DELAY [MAX_DELAY] [packets MAX_PACKETS] [bytes MAX_BYTES]]",
  "                 [ slot distribution {uniform|normal|pareto|paretonormal|custom}",
  "                   DELAY JITTER [packets MAX_PACKETS] [bytes MAX_BYTES]]",
);

export const FIFO: string = lines(
  "Usage: ... <[p|b]fifo | pfifo_head_drop> [ limit NUMBER ]",
);

export const U32: string = lines(
  "Usage: ... u32 [ match SELECTOR ... ] [ link HTID ] [ classid CLASSID ]",
  "               [ action ACTION_SPEC ] [ offset OFFSET_SPEC ]",
  "               [ ht HTID ] [ hashkey HASHKEY_SPEC ]",
  "               [ sample SAMPLE ] [skip_hw | skip_sw]",
  "or         u32 divisor DIVISOR",
  "",
  "Where: SELECTOR := SAMPLE SAMPLE ...",
  "       SAMPLE := { ip | ip6 | udp | tcp | icmp | u{32|16|8} | mark }",
  "                 SAMPLE_ARGS [ divisor DIVISOR ]",
  "       FILTERID := X:Y:Z",
  "",
  "NOTE: CLASSID is parsed at hexadecimal input.",
);

export const FW: string = lines(
  "Usage: ... fw [ classid CLASSID ] [ indev DEV ] [ action ACTION_SPEC ]",
  "\tCLASSID := Push matching packets to the class identified by CLASSID with format X:Y",
  "\t\tCLASSID is parsed as hexadecimal input.",
  "\tDEV := specify device for incoming device classification.",
  "\tACTION_SPEC := Apply an action on matching packets.",
  "\tNOTE: handle is represented as HANDLE[/FWMASK].",
  "\t\tFWMASK is 0xffffffff by default.",
);

export const MATCHALL: string = lines(
  "Usage: ... matchall [skip_sw | skip_hw]",
  "                 [ action ACTION_SPEC ] [ classid CLASSID ]",
  "",
  "Where: SELECTOR := SAMPLE SAMPLE ...",
  "       FILTERID := X:Y:Z",
  "       ACTION_SPEC := ... look at individual actions",
  "",
  "NOTE: CLASSID is parsed as hexadecimal input.",
);

export const QDISC: string = lines(
  "Usage: tc qdisc [ add | del | replace | change | show ] dev STRING",
  "       [ handle QHANDLE ] [ root | ingress | clsact | parent CLASSID ]",
  "       [ estimator INTERVAL TIME_CONSTANT ]",
  "       [ stab [ help | STAB_OPTIONS] ]",
  "       [ ingress_block BLOCK_INDEX ] [ egress_block BLOCK_INDEX ]",
  "       [ [ QDISC_KIND ] [ help | OPTIONS ] ]",
  "",
  "       tc qdisc { show | list } [ dev STRING ] [ QDISC_ID ] [ invisible ]",
  "Where:",
  "QDISC_KIND := { [p|b]fifo | tbf | prio | cbq | red | etc. }",
  "OPTIONS := ... try tc qdisc add <desired QDISC_KIND> help",
  "STAB_OPTIONS := ... try tc qdisc add stab help",
  "QDISC_ID := { root | ingress | handle QHANDLE | parent CLASSID }",
);

export const CLASS: string = lines(
  "Usage: tc class [ add | del | change | replace | show ] dev STRING",
  "       [ classid CLASSID ] [ root | parent CLASSID ]",
  "       [ [ QDISC_KIND ] [ help | OPTIONS ] ]",
  "",
  "       tc class show [ dev STRING ] [ root | parent CLASSID ]",
  "Where:",
  "QDISC_KIND := { prio | cbq | etc. }",
  "OPTIONS := ... try tc class add <desired QDISC_KIND> help",
);

export const FILTER: string = lines(
  "Usage: tc filter [ add | del | change | replace | show ] [ dev STRING ]",
  "       tc filter [ add | del | change | replace | show ] [ block BLOCK_INDEX ]",
  "       tc filter get dev STRING parent CLASSID protocol PROTO handle FILTERID pref PRIO FILTER_TYPE",
  "       tc filter get block BLOCK_INDEX protocol PROTO handle FILTERID pref PRIO FILTER_TYPE",
  "       [ pref PRIO ] protocol PROTO [ chain CHAIN_INDEX ]",
  "       [ estimator INTERVAL TIME_CONSTANT ]",
  "       [ root | ingress | egress | parent CLASSID ]",
  "       [ handle FILTERID ] [ [ FILTER_TYPE ] [ help | OPTIONS ] ]",
  "",
  "       tc filter show [ dev STRING ] [ root | ingress | egress | parent CLASSID ]",
  "       tc filter show [ block BLOCK_INDEX ]",
  "Where:",
  "FILTER_TYPE := { rsvp | u32 | bpf | fw | route | etc. }",
  "FILTERID := ... format depends on classifier, see there",
  "OPTIONS := ... try tc filter add <desired FILTER_KIND> help",
);

export const ACTIONS: string = lines(
  "usage: tc actions <ACTSPECOP>*",
  "Where: \tACTSPECOP := ACR | GD | FL",
  "\tACR := add | change | replace <ACTSPEC>*",
  "\tGD := get | delete | <ACTISPEC>*",
  "\tFL := ls | list | flush | <ACTNAMESPEC>",
  "\tACTNAMESPEC :=  action <ACTNAME>",
  "\tACTISPEC := <ACTNAMESPEC> <INDEXSPEC>",
  "\tACTSPEC := action <ACTDETAIL> [INDEXSPEC] [HWSTATSSPEC] [SKIPSPEC]",
  "\tINDEXSPEC := index <32 bit indexvalue>",
  "\tHWSTATSSPEC := hw_stats [ immediate | delayed | disabled ]",
  "\tSKIPSPEC := [ skip_sw | skip_hw ]",
  "\tACTDETAIL := <ACTNAME> <ACTPARAMS>",
  "\t\tExample ACTNAME is gact, mirred, bpf, etc",
  "\t\tEach action has its own parameters (ACTPARAMS)",
  "",
);

export const MIRRED: string = lines(
  "Usage: mirred <DIRECTION> <ACTION> [index INDEX] <dev DEVICENAME>",
  "where:",
  "\tDIRECTION := <ingress | egress>",
  "\tACTION := <mirror | redirect>",
  "\tINDEX  is the specific policy instance id",
  "\tDEVICENAME is the devicename",
);

export const GACT: string = lines(
  "Usage: ... gact <ACTION> [RAND] [INDEX]",
  "Where: \tACTION := reclassify | drop | continue | pass | pipe |",
  "       \t          goto chain <CHAIN_INDEX> | jump <JUMP_COUNT>",
  "\tRAND := random <RANDTYPE> <ACTION> <VAL>",
  "\tRANDTYPE := netrand | determ",
  "\tVAL : = value not exceeding 10000",
  "\tJUMP_COUNT := Absolute jump from start of action list",
  "\tINDEX := index value used",
  "",
);
