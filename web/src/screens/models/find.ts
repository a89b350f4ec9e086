import type { Schemas } from "@/api/client";
import type { ModelsSearch } from "./search";

type Offer = Schemas["Offer"];

/** The offers that a search leaves, in its order. What is not known comes last either way. */
export function find(offers: readonly Offer[], { q = "", group, sort = "model" }: ModelsSearch): Offer[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = offers.filter((offer) => {
    if (group && !offer.groups.includes(group)) return false;
    const { vendor = "", mode = "", features = [] } = offer.price ?? {};
    const hay = [offer.model, vendor, mode, ...(features ?? [])].join(" ").toLowerCase();
    return words.every((word) => hay.includes(word));
  });
  const down = sort.startsWith("-");
  const of = figures[(down ? sort.slice(1) : sort) as keyof typeof figures];
  const byName = (a: Offer, b: Offer) => a.model.localeCompare(b.model);
  if (!of) return found.sort(down ? (a, b) => byName(b, a) : byName);
  return found.sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined) || byName(a, b);
    return (down ? y - x : x - y) || byName(a, b);
  });
}

const figures = {
  input: (offer: Offer) => offer.price?.input,
  output: (offer: Offer) => offer.price?.output,
  context: (offer: Offer) => offer.price?.max_input_tokens || undefined,
};
