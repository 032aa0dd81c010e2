// node inline.mjs IN OUT: a module with calls of small functions replaced by their bodies, further than asc does it. A call costs two
// to three nanoseconds in the engines that do not inline themselves, and a packet passes some thirty functions.
import binaryen from "binaryen";
import { readFileSync, writeFileSync } from "node:fs";

/**
 * Sizes in Binaryen's measure: below the first always, below the second where optimising for speed. With two and three times as much
 * the hot path is another tenth faster, but the module doubles and the pass takes minutes.
 */
const ALWAYS = 60;
const FLEXIBLE = 60;
/**
 * Where there is one call only. Binaryen knows no limit of its own here, and puts most of the control path into two functions of some 30 KB: V8
 * takes a quarter of a second to optimise them, while the first cluster boots. Kept apart they cost the data path nothing.
 */
const ONE_CALLER = 60;

const [, , from, to] = process.argv;
const module = binaryen.readBinary(readFileSync(from));
module.setFeatures(binaryen.Features.All);
binaryen.setOptimizeLevel(3);
binaryen.setShrinkLevel(0);
binaryen.setAlwaysInlineMaxSize(ALWAYS);
binaryen.setFlexibleInlineMaxSize(FLEXIBLE);
binaryen.setOneCallerInlineMaxSize(ONE_CALLER);
module.runPasses(["inlining-optimizing"]);
module.optimize();
writeFileSync(to, module.emitBinary());
