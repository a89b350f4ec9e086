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
  /** Only the keys that this one has issued. */
  parent?: number;
  /** Whose keys, for administrators; the viewer's own when left out. */
  user?: number;
  page?: number;
  size?: number;
}

/** What the address of one key says. */
export interface KeySearch {
  period?: string;
  /** Whose key it is, for administrators; the viewer's own when left out. */
  user?: number;
  /** The page of its children. */
  children?: number;
}

const whole = (value: unknown) => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : 0);

export function keySearch(search: Record<string, unknown>): KeySearch {
  const user = whole(search.user);
  const children = whole(search.children);
  return {
    ...(typeof search.period === "string" && { period: search.period }),
    ...(user > 0 && { user }),
    ...(children > 1 && { children }),
  };
}

export function keysSearch(search: Record<string, unknown>): KeysSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const q = text(search.q);
  const status = whole(search.status);
  const group = text(search.group);
  const sort = text(search.sort);
  const parent = whole(search.parent);
  const user = whole(search.user);
  const page = whole(search.page);
  const size = whole(search.size);
  return {
    ...(q && { q }),
    ...(status >= 1 && status <= 4 && { status: status as 1 | 2 | 3 | 4 }),
    ...(group && { group }),
    ...((orders as string[]).includes(sort) && { sort: sort as Order }),
    ...(parent > 0 && { parent }),
    ...(user > 0 && { user }),
    ...(page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
  };
}
