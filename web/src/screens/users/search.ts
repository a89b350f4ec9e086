/** What the address of the users says. What is left out has its default. */
export interface UsersSearch {
  q?: string;
  page?: number;
  size?: number;
}

export function usersSearch(search: Record<string, unknown>): UsersSearch {
  const q = typeof search.q === "string" || typeof search.q === "number" ? String(search.q) : "";
  const page = Number(search.page);
  const size = Number(search.size);
  return {
    ...(q && { q }),
    ...(Number.isSafeInteger(page) && page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
  };
}
