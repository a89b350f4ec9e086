import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { newQueryClient, selfQuery, statusQuery } from "./api/queries";
import { AdminsOnly, NotFound, RouteError } from "./app/route-error";
import { Shell } from "./app/shell";
import { auditSearch } from "./screens/audit/search";
import { channelSearch, channelsSearch, explainSearch } from "./screens/channels/search";
import { keysSearch } from "./screens/keys/search";
import { overviewSearch } from "./screens/overview/search";
import { pricesSearch } from "./screens/prices/search";
import { usageSearch } from "./screens/usage/search";
import { usersSearch } from "./screens/users/search";
import { PageLoading } from "./ui/states";

// The one list of the console's pages. A page is a lazy component, so that its
// code is loaded when it is opened; what reads its address (validateSearch) is
// loaded with the first page.

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFound,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search): { from?: string } => (typeof search.from === "string" ? { from: search.from } : {}),
  beforeLoad: async ({ context }) => {
    const [self] = await Promise.all([
      context.queries.ensureQueryData(selfQuery),
      context.queries.ensureQueryData(statusQuery),
    ]);
    if (self) throw redirect({ to: "/" });
  },
  component: lazyRouteComponent(() => import("./screens/sign-in/screen"), "SignInScreen"),
});

/** Pages of those who are signed in. */
const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  beforeLoad: async ({ context, location }) => {
    const [self] = await Promise.all([
      context.queries.ensureQueryData(selfQuery),
      context.queries.ensureQueryData(statusQuery),
    ]);
    if (!self) throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { from: location.href } });
    return { self };
  },
  component: Shell,
});

/** Pages of administrators. The server refuses others, too; here they are told. */
const admin = createRoute({
  getParentRoute: () => app,
  id: "admin",
  component: function Admins() {
    const { self } = app.useRouteContext();
    return self.role === "user" ? <AdminsOnly /> : <Outlet />;
  },
});

const home = createRoute({
  getParentRoute: () => app,
  path: "/",
  validateSearch: overviewSearch,
  component: lazyRouteComponent(() => import("./screens/overview/screen"), "OverviewScreen"),
});

const usage = createRoute({
  getParentRoute: () => app,
  path: "/usage",
  validateSearch: usageSearch,
  component: lazyRouteComponent(() => import("./screens/usage/screen"), "UsageScreen"),
});

const keys = createRoute({
  getParentRoute: () => app,
  path: "/keys",
  validateSearch: keysSearch,
  loaderDeps: ({ search }) => search,
  // The rows are asked for while the screen's own code is on its way.
  loader: ({ context, deps }) => {
    void import("./screens/keys/queries").then(({ keysQuery }) => context.queries.prefetchQuery(keysQuery(deps)));
  },
  component: lazyRouteComponent(() => import("./screens/keys/list"), "KeysScreen"),
});

const key = createRoute({
  getParentRoute: () => app,
  path: "/keys/$id",
  validateSearch: (search): { period?: string } => (typeof search.period === "string" ? { period: search.period } : {}),
  component: lazyRouteComponent(() => import("./screens/keys/detail"), "KeyScreen"),
});

const channels = createRoute({
  getParentRoute: () => admin,
  path: "/channels",
  validateSearch: channelsSearch,
  component: lazyRouteComponent(() => import("./screens/channels/list"), "ChannelsScreen"),
});

const explain = createRoute({
  getParentRoute: () => admin,
  path: "/channels/explain",
  validateSearch: explainSearch,
  component: lazyRouteComponent(() => import("./screens/channels/explain"), "ExplainScreen"),
});

const channel = createRoute({
  getParentRoute: () => admin,
  path: "/channels/$id",
  validateSearch: channelSearch,
  component: lazyRouteComponent(() => import("./screens/channels/detail"), "ChannelScreen"),
});

const groups = createRoute({
  getParentRoute: () => admin,
  path: "/groups",
  validateSearch: (search): { group?: string } => (typeof search.group === "string" ? { group: search.group } : {}),
  component: lazyRouteComponent(() => import("./screens/groups/groups"), "GroupsScreen"),
});

const prices = createRoute({
  getParentRoute: () => admin,
  path: "/prices",
  validateSearch: pricesSearch,
  component: lazyRouteComponent(() => import("./screens/prices/prices"), "PricesScreen"),
});

const users = createRoute({
  getParentRoute: () => admin,
  path: "/users",
  validateSearch: usersSearch,
  component: lazyRouteComponent(() => import("./screens/users/list"), "UsersScreen"),
});

const user = createRoute({
  getParentRoute: () => admin,
  path: "/users/$id",
  component: lazyRouteComponent(() => import("./screens/users/detail"), "UserScreen"),
});

const options = createRoute({
  getParentRoute: () => admin,
  path: "/options",
  component: lazyRouteComponent(() => import("./screens/options/options"), "OptionsScreen"),
});

const audit = createRoute({
  getParentRoute: () => admin,
  path: "/audit",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("./screens/audit/audit"), "AuditScreen"),
});

const system = createRoute({
  getParentRoute: () => admin,
  path: "/system",
  component: lazyRouteComponent(() => import("./screens/system/system"), "SystemScreen"),
});

/** Every other address: the shell stays. */
const elsewhere = createRoute({
  getParentRoute: () => app,
  path: "$",
  component: NotFound,
});

const tree = root.addChildren([
  signIn,
  app.addChildren([
    home,
    keys,
    key,
    usage,
    admin.addChildren([channels, explain, channel, groups, prices, users, user, options, audit, system]),
    elsewhere,
  ]),
]);

export function newRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    defaultErrorComponent: RouteError,
    defaultPendingComponent: PageLoading,
    defaultNotFoundComponent: NotFound,
    defaultPendingMs: 200,
    scrollRestoration: true,
  });
}

export const queries = newQueryClient();
export const router = newRouter(queries);

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
