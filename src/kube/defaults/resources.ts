/** Amounts of resources, as the API server stores them. */
import { type Fields, withFields } from "../json.ts";
import { parseQuantity, quantityText, roundUpToMilli } from "../quantity.ts";
import { inField } from "./fill.ts";

/** Amounts finer than a thousandth are rounded up; all others, and what is no amount, keep their text. */
export function roundedAmounts(amounts: Fields): Fields {
  const changes: Record<string, unknown> = {};
  for (const name of Object.keys(amounts)) {
    const amount = parseQuantity(amounts[name]);
    if (amount === undefined) continue;
    const rounded = roundUpToMilli(amount);
    if (rounded !== amount) Object.defineProperty(changes, name, { value: quantityText(rounded), enumerable: true });
  }
  return withFields(amounts, changes);
}

/** The limits and requests of a container or claim, rounded. */
export function roundedResources(resources: Fields): Fields {
  return inField(inField(resources, "limits", roundedAmounts), "requests", roundedAmounts);
}
