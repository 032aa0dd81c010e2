/** DefaultIngressClass: Ingresses that name no class get the default one. Follows plugin/pkg/admission/network/defaultingressclass. */
import { isAbout, type AdmissionPlugin, type Any } from "./types.ts";
import { newestDefault } from "./storage.ts";

const IS_DEFAULT = ["ingressclass.kubernetes.io/is-default-class"];

export const defaultIngressClass: AdmissionPlugin = {
  name: "DefaultIngressClass",
  resources: ["ingresses"],
  async admit(request, context) {
    if (!isAbout(request, "networking.k8s.io", "ingresses") || request.operation !== "CREATE") return;
    const ingress = request.object as Any;
    if (ingress.spec.ingressClassName !== undefined || ingress.metadata.annotations?.["kubernetes.io/ingress.class"] !== undefined) return;
    const found = newestDefault(await context.list("ingressclasses", ""), IS_DEFAULT);
    if (found !== undefined) ingress.spec.ingressClassName = found.metadata.name;
  },
};
