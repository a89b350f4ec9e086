const orders = ["created", "name", "used", "remaining", "last_used", "expires"].flatMap((by) => [
  by,
  `-${by}`,
]) as Order[];
type Order = `${"" | "-"}${"created" | "name" | "used" | "remaining" | "last_used" | "expires"}`;

/** What the address of the list of keys says. What is left out has its default. */
export interface KeysSearch {
  q?: string;
  status?: 1 | 2 | 3 | 4;
  group?: string;
  sort?: Order;
  page?: number;
  size?: number;
}

export function keysSearch(search: Record<string, unknown>): KeysSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const whole = (value: unknown) => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : 0);
  const q = text(search.q);
  const status = whole(search.status);
  const group = text(search.group);
  const sort = text(search.sort);
  const page = whole(search.page);
  const size = whole(search.size);
  return {
    ...(q && { q }),
    ...(status >= 1 && status <= 4 && { status: status as 1 | 2 | 3 | 4 }),
    ...(group && { group }),
    ...((orders as string[]).includes(sort) && { sort: sort as Order }),
    ...(page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
  };
}
