/**
 * AppArmor profiles as annotations, which clients of before v1.30 write, and as the fields that stand for them. Follows
 * pkg/registry/core/pod/strategy.go (applyAppArmorVersionSkew) and pkg/api/pod/util.go.
 */
import type { Container, Pod } from "../../api/types.generated.ts";
import { containersOf } from "./pod-containers.ts";
import type { Any } from "./validation/common.ts";

const PREFIX = "container.apparmor.security.beta.kubernetes.io/";
const LOCALHOST = "localhost/";
const SAYS = 'deprecated since v1.30; use the "appArmorProfile" field instead';

/** The containers of new pods whose profile came from an annotation: what a client is told of once. */
const fromAnnotation = new WeakMap<object, readonly string[]>();

/** Gives a new pod the fields for its annotations, and the annotations for its fields, that kubelets of before look at. */
export function syncAppArmor(pod: Pod): void {
  if (pod.spec.os?.name === "windows") return;
  const taken: string[] = [];
  for (const container of containersOf(pod.spec)) {
    const key = PREFIX + container.name;
    const annotation = pod.metadata.annotations?.[key];
    const profile = container.securityContext?.appArmorProfile;
    if (annotation === undefined) {
      const written = annotationOf(profile ?? pod.spec.securityContext?.appArmorProfile);
      if (written !== "") pod.metadata.annotations = { ...pod.metadata.annotations, [key]: written };
    } else if (profile === undefined) {
      const field = profileOf(annotation);
      if (field === undefined) continue;
      container.securityContext = { ...container.securityContext, appArmorProfile: field };
      taken.push(container.name);
    }
  }
  if (taken.length > 0) fromAnnotation.set(pod.spec, taken);
}

/** What is said of the annotations. In templates they are not taken over, so all without a field are named. */
export function deprecatedAppArmor({ metadata, spec }: Any, at: string, isTemplate: boolean): string[] {
  const names = isTemplate
    ? containersOf(spec).filter(({ name, securityContext }) => securityContext?.appArmorProfile === undefined && metadata.annotations?.[PREFIX + name] !== undefined).map(({ name }) => name)
    : fromAnnotation.get(spec) ?? [];
  return names.map((name) => `${at}metadata.annotations[${PREFIX}${name}]: ${SAYS}`);
}

type Profile = NonNullable<NonNullable<Container["securityContext"]>["appArmorProfile"]>;

function annotationOf(profile: Profile | undefined): string {
  switch (profile?.type) {
    case "Unconfined": return "unconfined";
    case "RuntimeDefault": return "runtime/default";
    case "Localhost": return (profile.localhostProfile ?? "") === "" ? "" : LOCALHOST + profile.localhostProfile!;
    default: return "";
  }
}

function profileOf(annotation: string): Profile | undefined {
  if (annotation === "unconfined") return { type: "Unconfined" };
  if (annotation === "runtime/default") return { type: "RuntimeDefault" };
  const local = annotation.startsWith(LOCALHOST) ? annotation.slice(LOCALHOST.length) : "";
  return local === "" ? undefined : { type: "Localhost", localhostProfile: local };
}
