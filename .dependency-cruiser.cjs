// The layer rule of docs/architecture.md: a room imports only from the rooms below it.
const layers = [
  ["env"],
  ["kube", "api"],
  ["engine", "admission", "record"],
  ["workload"],
  ["features"],
  ["manager", "daemon", "cli", "web", "sandbox"],
];
const rooms = (from) => layers.slice(from).flat().join("|");
const upward = layers.slice(0, -1).map((layer, index) => ({
  name: `layer-${layer.join("-")}-imports-upward`,
  comment: `src/{${layer.join(",")}} may import only from lower layers: move the shared part down, or pass a function in.`,
  severity: "error",
  from: { path: `^src/(${layer.join("|")})/` },
  to: { path: `^src/(${rooms(index + 1)})/` },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: "no-circular",
      comment: "Two files that need each other are one file, or miss a third.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "features-are-separate",
      comment: "What two features share moves down to src/workload.",
      severity: "error",
      from: { path: "^src/features/([^/]+)/" },
      to: { path: "^src/features/([^/]+)/", pathNot: "^src/features/$1/" },
    },
    {
      name: "product-does-not-import-tests",
      severity: "error",
      from: { path: "^src/", pathNot: "[.]test[.]ts$" },
      to: { path: "^(test|scripts)/|[.]test[.]ts$" },
    },
    {
      name: "not-to-dev-dependency",
      severity: "error",
      from: { path: "^src/", pathNot: "[.]test[.]ts$|/testing/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"] },
  },
};
