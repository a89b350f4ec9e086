import { tableFeatures, useTable } from "@tanstack/react-table";
import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { IconButton } from "./button";
import { cx } from "./cx";
import { Select } from "./input";
import { Problem } from "./problem";
import { Skeleton } from "./states";

export interface Column<Row> {
  id: string;
  header: ReactNode;
  cell: (row: Row) => ReactNode;
  /** Numbers and money stand at the right. */
  align?: "right";
  /** Whether the server sorts by it, by the column's id. */
  sortable?: boolean;
  /** Left out below this width of the window. */
  from?: "sm" | "md" | "lg" | "xl";
  /** On a phone it gets the room that the others leave, so what is in it has to truncate. */
  yields?: boolean;
  className?: string;
}

/** A column's id, with - before it for the largest first. */
export type Sort = string;

interface Props<Row> {
  /** What the rows are, for those who hear the table. */
  label: string;
  columns: readonly Column<Row>[];
  /** Undefined while they are loading. */
  rows: readonly Row[] | undefined;
  rowId: (row: Row) => string;
  error?: unknown;
  retry?: () => void;
  /** Whether newer rows are on their way. */
  stale?: boolean;
  /** What to show when there are no rows. */
  empty: ReactNode;
  sort?: Sort | undefined;
  onSort?: (sort: Sort) => void;
  page?: { page: number; pageSize: number; total: number };
  /** Replaces the page in the history when the one that stands there is no longer there. */
  onPage?: (page: number, pageSize: number, replace: boolean) => void;
  selected?: ReadonlySet<string>;
  onSelected?: (selected: ReadonlySet<string>) => void;
  /** A click on a row; keep a link or button in it for the keyboard. */
  onRow?: (row: Row) => void;
  rowLabel?: (row: Row) => string;
}

const features = tableFeatures({});
const shownFrom = { sm: "max-sm:hidden", md: "max-md:hidden", lg: "max-lg:hidden", xl: "max-xl:hidden" };

/** Rows that the server pages and sorts. */
export function Table<Row extends object>(props: Props<Row>) {
  const {
    label,
    columns,
    rows,
    rowId,
    error,
    retry,
    stale,
    empty,
    sort,
    onSort,
    page,
    onPage,
    selected,
    onSelected,
    onRow,
    rowLabel,
  } = props;
  const { t } = useTranslation();
  const definitions = useMemo(
    () =>
      columns.map(({ id, header, cell }) => ({
        id,
        header: () => header,
        cell: ({ row }: { row: { original: Row } }) => cell(row.original),
      })),
    [columns],
  );
  const data = useMemo(() => [...(rows ?? [])], [rows]);
  const table = useTable({ features, columns: definitions, data, getRowId: rowId });
  const byId = new Map(columns.map((column) => [column.id, column]));
  const ids = data.map(rowId);
  const chosen = ids.filter((id) => selected?.has(id));
  const toggle = (which: readonly string[], on: boolean) => {
    const next = new Set(selected);
    for (const id of which) {
      if (on) next.add(id);
      else next.delete(id);
    }
    onSelected?.(next);
  };

  // A page past the end, left over from before rows went away: the last one instead.
  const lost = rows?.length === 0 && page !== undefined && page.page > 1 && page.total > 0 && !stale;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only being lost matters
  useEffect(() => {
    if (lost) onPage?.(Math.ceil(page.total / page.pageSize), page.pageSize, true);
  }, [lost]);

  if (error !== null && error !== undefined && rows === undefined) return <Problem error={error} retry={retry} large />;
  const cellClass = (id: string) => {
    const column = byId.get(id);
    return cx(
      "px-3 first:pl-4 last:pr-4",
      column?.align === "right" && "text-right",
      column?.yields && "max-sm:w-full max-sm:max-w-0 max-sm:min-w-28",
      column?.from && shownFrom[column.from],
      column?.className,
    );
  };
  return (
    <div>
      <section
        aria-label={label}
        tabIndex={0}
        className="thin-scrollbar relative overflow-x-auto focus-visible:outline-offset-[-2px]"
      >
        <table aria-busy={rows === undefined || stale} className="w-full border-collapse text-sm">
          <thead>
            {table.getHeaderGroups().map((group) => (
              <tr key={group.id} className="border-b bg-sunken">
                {onSelected && (
                  <th scope="col" className="w-8 pl-4">
                    <HeadCheckbox
                      label={t("table.selectAll")}
                      checked={ids.length > 0 && chosen.length === ids.length}
                      some={chosen.length > 0 && chosen.length < ids.length}
                      onChange={(on) => toggle(ids, on)}
                    />
                  </th>
                )}
                {group.headers.map((header) => {
                  const column = byId.get(header.id);
                  const direction =
                    sort === header.id ? "ascending" : sort === `-${header.id}` ? "descending" : undefined;
                  return (
                    <th
                      key={header.id}
                      scope="col"
                      aria-sort={column?.sortable ? (direction ?? "none") : undefined}
                      className={cx(
                        cellClass(header.id),
                        "h-9 whitespace-nowrap text-left text-xs font-medium text-soft",
                      )}
                    >
                      {column?.sortable && onSort ? (
                        <button
                          type="button"
                          onClick={() => onSort(direction === "descending" ? header.id : `-${header.id}`)}
                          className={cx(
                            "-mx-1 inline-flex items-center gap-1 rounded px-1 font-medium hover:text-ink",
                            direction && "text-ink",
                            column.align === "right" && "flex-row-reverse",
                          )}
                        >
                          <table.FlexRender header={header} />
                          <SortArrow direction={direction} />
                        </button>
                      ) : (
                        <table.FlexRender header={header} />
                      )}
                    </th>
                  );
                })}
              </tr>
            ))}
          </thead>
          <tbody className={cx(stale && "opacity-60 transition-opacity delay-200")}>
            {rows === undefined &&
              Array.from({ length: 8 }, (_, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
                <tr key={i} className="border-b last:border-0">
                  {onSelected && <td />}
                  {columns.map((column) => (
                    <td key={column.id} className={cx(cellClass(column.id), "h-11")}>
                      <Skeleton
                        className={cx(
                          "h-3.5",
                          column.align === "right" ? "ml-auto w-14 max-sm:w-10" : "w-28 max-w-full max-sm:w-14",
                        )}
                      />
                    </td>
                  ))}
                </tr>
              ))}
            {table.getRowModel().rows.map((row) => (
              <tr
                key={row.id}
                aria-selected={onSelected ? selected?.has(row.id) : undefined}
                onClick={onRow && ((event) => openFrom(event, () => onRow(row.original)))}
                className={cx(
                  "border-b last:border-0",
                  onRow && "cursor-pointer hover:bg-sunken",
                  selected?.has(row.id) && "bg-accent-soft hover:bg-accent-soft",
                )}
              >
                {onSelected && (
                  <td className="pl-4">
                    <HeadCheckbox
                      label={t("table.select", { name: rowLabel?.(row.original) ?? row.id })}
                      checked={selected?.has(row.id) ?? false}
                      onChange={(on) => toggle([row.id], on)}
                    />
                  </td>
                )}
                {row.getAllCells().map((cell) => (
                  <td key={cell.id} className={cx(cellClass(cell.column.id), "h-11 py-1.5")}>
                    <table.FlexRender cell={cell} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {rows?.length === 0 && empty}
      {page && onPage && page.total > 0 && <Paging {...page} onPage={(to, size) => onPage(to, size, false)} />}
    </div>
  );
}

/** Opens a row, unless the click was meant for something in it or to select text. */
function openFrom(event: React.MouseEvent, open: () => void) {
  // A menu of the row is elsewhere in the document, but its clicks come by here.
  if (!(event.target instanceof Element) || !event.currentTarget.contains(event.target)) return;
  if (event.target.closest("a,button,input,label,select")) return;
  if (window.getSelection()?.toString()) return;
  open();
}

function SortArrow({ direction }: { direction: "ascending" | "descending" | undefined }) {
  const Icon = direction === "ascending" ? ArrowUp : ArrowDown;
  return <Icon aria-hidden className={cx("size-3", !direction && "opacity-0")} />;
}

function HeadCheckbox({
  label,
  checked,
  some,
  onChange,
}: {
  label: string;
  checked: boolean;
  some?: boolean;
  onChange: (on: boolean) => void;
}) {
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (ref.current) ref.current.indeterminate = some ?? false;
  }, [some]);
  return (
    <label className="-m-2 flex p-2">
      <input
        ref={ref}
        type="checkbox"
        aria-label={label}
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
        className="size-4 accent-accent-fill"
      />
    </label>
  );
}

/** The choices where one may choose: a table with another number keeps it. */
const pageSizes = [20, 50, 100];

function Paging({
  page,
  pageSize,
  total,
  onPage,
}: {
  page: number;
  pageSize: number;
  total: number;
  onPage: (page: number, pageSize: number) => void;
}) {
  const { t } = useTranslation();
  const { number } = useFormat();
  const pages = Math.max(1, Math.ceil(total / pageSize));
  const first = Math.min(total, (page - 1) * pageSize + 1);
  return (
    <nav
      aria-label={t("table.pages")}
      className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-t px-4 py-2 text-xs text-soft"
    >
      <span>
        {t("table.range", {
          first: number(first),
          last: number(Math.min(total, page * pageSize)),
          total: number(total),
        })}
      </span>
      <span className="flex items-center gap-2">
        {pageSizes.includes(pageSize) && (
          <Select
            aria-label={t("table.pageSize")}
            value={String(pageSize)}
            onChange={(event) => onPage(1, Number(event.target.value))}
            options={pageSizes.map((size) => ({
              value: String(size),
              label: t("table.perPage", { size: number(size) }),
            }))}
            className="w-32 max-sm:hidden"
          />
        )}
        <IconButton label={t("table.previous")} disabled={page <= 1} onClick={() => onPage(page - 1, pageSize)}>
          <ChevronLeft aria-hidden className="size-4" />
        </IconButton>
        <span className="whitespace-nowrap">{t("table.page", { page: number(page), pages: number(pages) })}</span>
        <IconButton label={t("table.next")} disabled={page >= pages} onClick={() => onPage(page + 1, pageSize)}>
          <ChevronRight aria-hidden className="size-4" />
        </IconButton>
      </span>
    </nav>
  );
}
