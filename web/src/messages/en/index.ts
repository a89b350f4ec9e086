const files = import.meta.glob<object>("./*.json", { eager: true, import: "default" });

/** This language's catalogs, by namespace. */
export default Object.fromEntries(
  Object.entries(files).map(([path, messages]) => [path.slice("./".length, -".json".length), messages]),
);
