/** Types with code-generator's and controller-gen's tags, for the generator's test. */
// +groupName=toys.example.com
// +versionName=v1beta1
import type { KubeObject } from "kubewire/client";

export type integer = number;

/** Where something stands. */
export interface Place {
  readonly row: integer;
  /** From the left. */
  readonly column?: integer;
}

type Colour = "red" | "green" | "blue";

/**
 * A thing that does something.
 */
// +genclient
// +genclient:nonNamespaced
// +kubebuilder:resource:path=gadgetry,shortName=gad;gt
export interface Gadget extends KubeObject {
  spec: GadgetSpec;
  status?: { phase: "On" | "Off"; seen?: string[] };
}

export interface GadgetSpec {
  colours: readonly Colour[];
  places?: Record<string, Place>;
  "max-weight"?: number | string;
  options?: { [name: string]: string };
  anything?: unknown;
  next?: Place[][];
  enabled: boolean;
}
