import { Link, Outlet } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Page } from "@/ui/page";

const pages = [
  { to: "/settings", label: "nav.profile" },
  { to: "/settings/security", label: "nav.security" },
  { to: "/settings/tokens", label: "nav.tokens" },
] as const;

/** One's own settings, on a page each. */
export function SettingsLayout() {
  const { t } = useTranslation("settings");
  return (
    <Page title={t("title")}>
      <div className="max-w-5xl">
        <nav aria-label={t("title")} className="thin-scrollbar mb-6 flex gap-4 overflow-x-auto border-b">
          {pages.map(({ to, label }) => (
            <Link
              key={to}
              to={to}
              activeOptions={{ exact: true }}
              className="-mb-px flex h-9 items-center whitespace-nowrap border-b-2 border-transparent px-0.5 text-sm font-medium text-soft hover:text-ink focus-visible:outline-offset-[-2px] aria-[current]:border-accent aria-[current]:text-ink max-sm:h-10"
            >
              {t(label)}
            </Link>
          ))}
        </nav>
        <div>
          <Outlet />
        </div>
      </div>
    </Page>
  );
}
