// Names of concepts.

/** @import { NamedConcept } from "../types.d.ts" */

/**
 * The concept's label, or its number.
 * @param {NamedConcept} concept
 */
export function conceptLabel(concept) {
  return concept.label ?? `Concept ${concept.concept ?? concept.index}`;
}

/**
 * The label, marked where the activation is negative: the representation points away from the concept.
 * @param {NamedConcept} concept
 */
export function conceptName(concept) {
  return conceptLabel(concept) + ((concept.activation ?? 0) < 0 ? " (negative activation)" : "");
}
