import "i18next";
import type channels from "./en/channels.json";
import type common from "./en/common.json";
import type keys from "./en/keys.json";
import type signIn from "./en/sign-in.json";

// A line per catalog makes its keys known to the compiler.
declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "common";
    enableSelector: false;
    resources: {
      channels: typeof channels;
      common: typeof common;
      keys: typeof keys;
      "sign-in": typeof signIn;
    };
  }
}
