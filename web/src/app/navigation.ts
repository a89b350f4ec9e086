import type { LinkProps } from "@tanstack/react-router";
import {
  Boxes,
  ChartNoAxesColumn,
  KeyRound,
  Layers,
  LayoutDashboard,
  type LucideIcon,
  MessagesSquare,
  Network,
  ScrollText,
  Server,
  Settings,
  SlidersHorizontal,
  Tag,
  Users,
} from "lucide-react";
import type { router } from "@/router";

interface Item {
  to: NonNullable<LinkProps<typeof router>["to"]>;
  /** A message of the catalog "common". */
  label:
    | "nav.overview"
    | "nav.keys"
    | "nav.usage"
    | "nav.models"
    | "nav.playground"
    | "nav.settings"
    | "nav.channels"
    | "nav.groups"
    | "nav.prices"
    | "nav.users"
    | "nav.options"
    | "nav.audit"
    | "nav.system";
  icon: LucideIcon;
  /** Whether only root sees it. */
  root?: boolean;
}

interface Section {
  label: "nav.own" | "nav.admin";
  admin: boolean;
  items: readonly Item[];
}

/** What the sidebar lists, in its order. */
export const navigation: readonly Section[] = [
  {
    label: "nav.own",
    admin: false,
    items: [
      { to: "/", label: "nav.overview", icon: LayoutDashboard },
      { to: "/keys", label: "nav.keys", icon: KeyRound },
      { to: "/usage", label: "nav.usage", icon: ChartNoAxesColumn },
      { to: "/models", label: "nav.models", icon: Boxes },
      { to: "/playground", label: "nav.playground", icon: MessagesSquare },
      { to: "/settings", label: "nav.settings", icon: Settings },
    ],
  },
  {
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
