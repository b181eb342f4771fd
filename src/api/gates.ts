/** Feature gates: names, defaults and stages as OpenKruise 1.9 has them. */
export type GateName = string;
export interface Gates {
  enabled(name: GateName): boolean;
}
