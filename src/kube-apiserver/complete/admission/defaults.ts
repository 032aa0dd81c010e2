/** DefaultTolerationSeconds and TaintNodesByCondition. Follow plugin/pkg/admission/defaulttolerationseconds and nodetaint. */
import type { Pod } from "../../../api/types.generated.ts";
import { nodes } from "../../registry/simple.ts";
import { tolerateForAWhile } from "../../registry/pod.ts";
import { isAbout, type AdmissionPlugin, type Any } from "./types.ts";

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: "DefaultTolerationSeconds",
  resources: ["pods"],
  admit(request) {
    if (isAbout(request, "", "pods") && request.operation !== "DELETE") tolerateForAWhile(request.object as unknown as Pod);
  },
};

export const taintNodesByCondition: AdmissionPlugin = {
  name: "TaintNodesByCondition",
  resources: ["nodes"],
  admit(request, context) {
    if (isAbout(request, "", "nodes") && request.operation === "CREATE") return nodes.admitCreate!(request.object as Any, context);
  },
};
