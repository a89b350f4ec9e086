import { useMutation, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Languages, LogOut, Menu as MenuIcon, Monitor, Moon, Settings, Sun, WifiOff, X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "@/api/client";
import { administers, changeViewer, selfQuery, statusQuery } from "@/api/queries";
import { type Language, languages, speak } from "@/messages";
import { IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuSeparator } from "@/ui/menu";
import { ModalContent } from "@/ui/modal-content";
import { toastProblem } from "@/ui/toast";
import { Mark } from "./mark";
import { navigation } from "./navigation";
import { chooseTheme, rememberLanguage, useTheme } from "./preferences";
import { session } from "./session";
import { SessionEnded } from "./session-ended";

/** Everything around a screen of someone who is signed in. */
export function Shell() {
  const { t } = useTranslation();
  const [drawer, setDrawer] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page closes the drawer
  useEffect(() => setDrawer(false), [path]);
  // So does a window that has become wide, as of a tablet that is turned: the drawer would be open unseen.
  useEffect(() => {
    const wide = window.matchMedia("(width >= 64rem)");
    const close = () => wide.matches && setDrawer(false);
    wide.addEventListener("change", close);
    return () => wide.removeEventListener("change", close);
  }, []);
  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[14rem_1fr]">
      <button
        type="button"
        onClick={() => document.getElementById("content")?.focus()}
        className="fixed top-2 left-2 z-50 -translate-y-16 rounded-md bg-accent-fill px-3 py-1.5 text-sm text-white focus:translate-y-0"
      >
        {t("shell.skip")}
      </button>
      <aside className="hidden border-r bg-sunken lg:block">
        <div className="sticky top-0 flex h-dvh flex-col">
          <Sidebar />
        </div>
      </aside>
      <Radix.Root open={drawer} onOpenChange={setDrawer}>
        <Radix.Portal>
          <div aria-hidden data-modal className="fixed inset-0 z-40 animate-in bg-veil lg:hidden" />
          <ModalContent
            aria-describedby={undefined}
            className="fixed inset-y-0 left-0 z-50 flex w-64 animate-drawer flex-col border-r bg-sunken shadow-pop outline-none lg:hidden"
          >
            <Radix.Title className="sr-only">{t("shell.menu")}</Radix.Title>
            <Radix.Close asChild>
              <IconButton label={t("action.close")} className="absolute top-2 right-2">
                <X aria-hidden className="size-4" />
              </IconButton>
            </Radix.Close>
            <Sidebar />
          </ModalContent>
        </Radix.Portal>
      </Radix.Root>
      <div className="flex min-w-0 flex-col">
        <header className="sticky top-0 z-20 flex h-12 items-center gap-1 border-b bg-canvas px-2 sm:px-4">
          <IconButton label={t("shell.menu")} onClick={() => setDrawer(true)} className="lg:hidden">
            <MenuIcon aria-hidden className="size-4" />
          </IconButton>
          <Link to="/" className="flex items-center gap-2 rounded font-semibold lg:hidden">
            <Mark className="size-5" /> Halley
          </Link>
          <span className="flex-1" />
          <OfflineNote />
          <LanguageMenu />
          <ThemeMenu />
          <UserMenu />
        </header>
        <main id="content" tabIndex={-1} className="min-w-0 flex-1 outline-none">
          <Outlet />
        </main>
      </div>
      <SessionEnded />
    </div>
  );
}

function Sidebar() {
  const { t } = useTranslation();
  const { data: self } = useSuspenseQuery(selfQuery);
  const { data: status } = useSuspenseQuery(statusQuery);
  const admin = administers(self);
  return (
    <>
      <Link to="/" className="mx-2 mt-2 flex h-9 w-fit items-center gap-2 rounded-md px-2 text-base font-semibold">
        <Mark className="size-5" /> Halley
      </Link>
      <nav
        aria-label={t("shell.navigation")}
        className="thin-scrollbar flex flex-1 flex-col gap-4 overflow-y-auto px-2 py-3"
      >
        {navigation
          .filter((section) => admin || !section.admin)
          .map((section) => (
            <div key={section.label}>
              {section.admin && <h2 className="px-2 pb-1 text-xs text-faint">{t(section.label)}</h2>}
              <ul className="flex flex-col gap-px">
                {section.items
                  .filter((item) => !item.root || self?.role === "root")
                  .map((item) => (
                    <li key={item.to}>
                      <Link
                        to={item.to}
                        className="flex h-8 items-center gap-2.5 rounded-md px-2 text-sm text-soft hover:bg-hover hover:text-ink max-lg:h-10 aria-[current]:bg-hover aria-[current]:font-medium aria-[current]:text-ink"
                        activeOptions={{ exact: item.to === "/" }}
                      >
                        <item.icon aria-hidden className="size-4" />
                        {t(item.label)}
                      </Link>
                    </li>
                  ))}
              </ul>
            </div>
          ))}
      </nav>
      <p className="truncate px-4 py-3 text-xs text-faint" title={status.version}>
        {t("shell.version", { version: status.version })}
      </p>
    </>
  );
}

/** Changes one's own record quietly: what failed is told, nothing is lost. */
function useSavedPreference() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { language: string }) => data(api.PATCH("/api/user/self", { body })),
    onSuccess: (user) => queries.setQueryData(selfQuery.queryKey, user),
    onError: toastProblem,
  });
}

/** The choice of a language; who is signed in finds it again elsewhere. */
export function LanguageMenu({ signedIn = true }: { signedIn?: boolean }) {
  const { t, i18n } = useTranslation();
  const save = useSavedPreference();
  return (
    <Menu
      trigger={
        <IconButton label={t("shell.language")}>
          <Languages aria-hidden className="size-4" />
        </IconButton>
      }
    >
      <MenuChoice
        value={i18n.language as Language}
        onChange={(language) => {
          rememberLanguage(language);
          void speak(language);
          if (signedIn) save.mutate({ language });
        }}
        options={(Object.keys(languages) as Language[]).map((value) => ({
          value,
          label: <span lang={value}>{languages[value]}</span>,
        }))}
      />
    </Menu>
  );
}

export function ThemeMenu() {
  const { t } = useTranslation();
  const theme = useTheme();
  const icons = { system: Monitor, light: Sun, dark: Moon };
  const Icon = icons[theme];
  return (
    <Menu
      trigger={
        <IconButton label={t("shell.theme")}>
          <Icon aria-hidden className="size-4" />
        </IconButton>
      }
    >
      <MenuChoice
        value={theme}
        onChange={chooseTheme}
        options={(["system", "light", "dark"] as const).map((value) => {
          const Own = icons[value];
          return { value, label: t(`theme.${value}`), icon: <Own aria-hidden className="size-4" /> };
        })}
      />
    </Menu>
  );
}

function UserMenu() {
  const { t } = useTranslation();
  const { data: self } = useSuspenseQuery(selfQuery);
  const queries = useQueryClient();
  const navigate = useNavigate();
  const name = self?.display_name || self?.username || "";
  const signOut = useMutation({
    mutationFn: () => data(api.POST("/api/user/logout")),
    onSuccess: async () => {
      session.set(false);
      queries.setQueryData(selfQuery.queryKey, null);
      await navigate({ to: "/sign-in" });
      changeViewer(queries, null); // once no screen asks any more
    },
    onError: toastProblem,
  });
  return (
    <Menu
      trigger={
        <button
          type="button"
          className="ml-1 flex h-8 max-w-40 items-center gap-2 rounded-md px-1.5 text-sm hover:bg-hover data-[state=open]:bg-hover max-sm:h-10"
        >
          <span
            aria-hidden
            className="flex size-6 shrink-0 items-center justify-center rounded-full bg-accent-soft text-xs font-semibold text-accent"
          >
            {[...name][0]?.toUpperCase()}
          </span>
          <span className="sr-only">{t("shell.account")}: </span>
          <span className="truncate max-sm:sr-only">{name}</span>
        </button>
      }
    >
      <MenuLabel>
        {self?.username} · {self && t(`role.${self.role}`)}
      </MenuLabel>
      <MenuSeparator />
      <MenuItem onSelect={() => void navigate({ to: "/settings" })} icon={<Settings aria-hidden className="size-4" />}>
        {t("nav.settings")}
      </MenuItem>
      <MenuItem onSelect={() => signOut.mutate()} icon={<LogOut aria-hidden className="size-4" />}>
        {t("shell.signOut")}
      </MenuItem>
    </Menu>
  );
}

function OfflineNote() {
  const { t } = useTranslation();
  const online = useSyncExternalStore(
    (listener) => {
      window.addEventListener("online", listener);
      window.addEventListener("offline", listener);
      return () => {
        window.removeEventListener("online", listener);
        window.removeEventListener("offline", listener);
      };
    },
    () => navigator.onLine,
  );
  return (
    <span
      role="status"
      className={cx("flex items-center gap-1.5 text-xs", !online && "mr-2 rounded bg-warn-soft px-2 py-1 text-warn")}
    >
      {!online && (
        <>
          <WifiOff aria-hidden className="size-3.5" /> {t("shell.offline")}
        </>
      )}
    </span>
  );
}
