import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, Outlet, redirect } from "@tanstack/react-router";
import { administers, newQueryClient, selfQuery, statusQuery } from "./api/queries";
import { speakAs } from "./app/language";
import { lazyPage } from "./app/lazy-page";
import { AdminsOnly, NotFound, RouteError } from "./app/route-error";
import { Shell } from "./app/shell";
import { auditSearch } from "./screens/audit/search";
import { channelSearch, channelsSearch, explainSearch } from "./screens/channels/search";
import { keySearch, keysSearch } from "./screens/keys/search";
import { modelsSearch } from "./screens/models/search";
import { overviewSearch } from "./screens/overview/search";
import { playgroundSearch } from "./screens/playground/search";
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

/** What comes with who an identity provider did not vouch for. */
type NotVouchedSearch = { error?: string; request_id?: string };

const notVouched = (search: Record<string, unknown>): NotVouchedSearch => ({
  ...(typeof search.error === "string" && { error: search.error }),
  ...(typeof search.request_id === "string" && { request_id: search.request_id }),
});

/** Pages of those who are not signed in, or may do nothing before they have chosen a password. */
const entry = {
  getParentRoute: () => root,
  validateSearch: (search: Record<string, unknown>): { from?: string } & NotVouchedSearch => ({
    ...(typeof search.from === "string" && { from: search.from }),
    ...notVouched(search),
  }),
  beforeLoad: async ({
    context,
    location,
    search,
  }: {
    context: { queries: QueryClient };
    location: { pathname: string };
    search: NotVouchedSearch;
  }) => {
    const [self] = await Promise.all([
      context.queries.ensureQueryData(selfQuery),
      context.queries.ensureQueryData(statusQuery),
    ]);
    if (!self) return;
    if (!self.must_change_password) {
      // Who is signed in wanted to link an account there.
      if (search.error) throw redirect({ to: "/settings/security", search: notVouched({ ...search }) });
      throw redirect({ to: "/" });
    }
    if (location.pathname !== "/sign-in") throw redirect({ to: "/sign-in" });
  },
};

const signIn = createRoute({
  ...entry,
  path: "/sign-in",
  component: lazyPage(() => import("./screens/sign-in/screen"), "SignInScreen"),
});

const register = createRoute({
  ...entry,
  path: "/register",
  component: lazyPage(() => import("./screens/sign-in/register"), "RegisterScreen"),
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
    if (!self || self.must_change_password)
      throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { from: location.href } });
    await speakAs(self);
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
    return administers(self) ? <Outlet /> : <AdminsOnly />;
  },
});

const home = createRoute({
  getParentRoute: () => app,
  path: "/",
  validateSearch: overviewSearch,
  component: lazyPage(() => import("./screens/overview/screen"), "OverviewScreen"),
});

const usage = createRoute({
  getParentRoute: () => app,
  path: "/usage",
  validateSearch: usageSearch,
  component: lazyPage(() => import("./screens/usage/screen"), "UsageScreen"),
});

const keys = createRoute({
  getParentRoute: () => app,
  path: "/keys",
  validateSearch: keysSearch,
  loaderDeps: ({ search }) => search,
  // The rows are asked for while the screen's own code is on its way.
  loader: ({ context, deps }) => {
    const search = deps.user === context.self.id ? { ...deps, user: undefined } : deps;
    void import("./screens/keys/queries").then(({ keysQuery }) => context.queries.prefetchQuery(keysQuery(search)));
  },
  component: lazyPage(() => import("./screens/keys/list"), "KeysScreen"),
});

const key = createRoute({
  getParentRoute: () => app,
  path: "/keys/$id",
  validateSearch: keySearch,
  component: lazyPage(() => import("./screens/keys/detail"), "KeyScreen"),
});

const models = createRoute({
  getParentRoute: () => app,
  path: "/models",
  validateSearch: modelsSearch,
  component: lazyPage(() => import("./screens/models/screen"), "ModelsScreen"),
});

const playground = createRoute({
  getParentRoute: () => app,
  path: "/playground",
  validateSearch: playgroundSearch,
  component: lazyPage(() => import("./screens/playground/screen"), "PlaygroundScreen"),
});

const settings = createRoute({
  getParentRoute: () => app,
  path: "/settings",
  component: lazyPage(() => import("./screens/settings/layout"), "SettingsLayout"),
});

const profile = createRoute({
  getParentRoute: () => settings,
  path: "/",
  component: lazyPage(() => import("./screens/settings/profile"), "ProfileScreen"),
});

const security = createRoute({
  getParentRoute: () => settings,
  path: "/security",
  validateSearch: notVouched,
  component: lazyPage(() => import("./screens/settings/security"), "SecurityScreen"),
});

const tokens = createRoute({
  getParentRoute: () => settings,
  path: "/tokens",
  component: lazyPage(() => import("./screens/settings/tokens"), "TokensScreen"),
});

const channels = createRoute({
  getParentRoute: () => admin,
  path: "/channels",
  validateSearch: channelsSearch,
  component: lazyPage(() => import("./screens/channels/list"), "ChannelsScreen"),
});

const explain = createRoute({
  getParentRoute: () => admin,
  path: "/channels/explain",
  validateSearch: explainSearch,
  component: lazyPage(() => import("./screens/channels/explain"), "ExplainScreen"),
});

const channel = createRoute({
  getParentRoute: () => admin,
  path: "/channels/$id",
  validateSearch: channelSearch,
  component: lazyPage(() => import("./screens/channels/detail"), "ChannelScreen"),
});

const groups = createRoute({
  getParentRoute: () => admin,
  path: "/groups",
  validateSearch: (search): { group?: string } => (typeof search.group === "string" ? { group: search.group } : {}),
  component: lazyPage(() => import("./screens/groups/groups"), "GroupsScreen"),
});

const prices = createRoute({
  getParentRoute: () => admin,
  path: "/prices",
  validateSearch: pricesSearch,
  component: lazyPage(() => import("./screens/prices/prices"), "PricesScreen"),
});

const users = createRoute({
  getParentRoute: () => admin,
  path: "/users",
  validateSearch: usersSearch,
  component: lazyPage(() => import("./screens/users/list"), "UsersScreen"),
});

const user = createRoute({
  getParentRoute: () => admin,
  path: "/users/$id",
  component: lazyPage(() => import("./screens/users/detail"), "UserScreen"),
});

const options = createRoute({
  getParentRoute: () => admin,
  path: "/options",
  component: lazyPage(() => import("./screens/options/options"), "OptionsScreen"),
});

const audit = createRoute({
  getParentRoute: () => admin,
  path: "/audit",
  validateSearch: auditSearch,
  component: lazyPage(() => import("./screens/audit/audit"), "AuditScreen"),
});

const system = createRoute({
  getParentRoute: () => admin,
  path: "/system",
  component: lazyPage(() => import("./screens/system/system"), "SystemScreen"),
});

/** Every other address: the shell stays. */
const elsewhere = createRoute({
  getParentRoute: () => app,
  path: "$",
  component: NotFound,
});

const tree = root.addChildren([
  signIn,
  register,
  app.addChildren([
    home,
    keys,
    key,
    usage,
    models,
    playground,
    settings.addChildren([profile, security, tokens]),
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
