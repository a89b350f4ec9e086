import type { LinkProps } from "@tanstack/react-router";
import { Boxes, ChartNoAxesColumn, KeyRound, type Layers, LayoutDashboard, type LucideIcon, MessagesSquare, type Network, type ScrollText, type Server, Settings, type SlidersHorizontal, type Tag, type Users } from "lucide-react";
import type { router } from "@/router";

interface Item {
  to: NonNullable<LinkProps<typeof router>["to"]>;
  /** A message of the catalog "common". */
  label: "nav.overview" | "nav.keys" | "nav.usage" | "nav.models" | "nav.playground" | "nav.settings" | "nav.audit" | "nav.channels" | "nav.groups" | "nav.options" | "nav.prices" | "nav.system" | "nav.users";
  icon: LucideIcon;
  /** Whether only root sees it. */
  root?: boolean;
}

interface Section {
  label: "nav.own" | "nav.admin";
  admin: boolean;
  items: readonly Item[  {
    label: "nav.admin",
    admin: true,
    items: [
      { to: "/channels", label: "nav.channels", icon: Network },
      { to: "/groups", label: "nav.groups", icon: Layers },
      { to: "/prices", label: "nav.prices", icon: Tag },
      { to: "/users", label: "nav.users", icon: Users },
      { to: "/options", label: "nav.options", icon: SlidersHorizontal, root: true },
      { to: "/audit", label: "nav.audit", icon: ScrollText },
      { to: "/system", label: "nav.system", icon: Server },
    ],
  },
];
