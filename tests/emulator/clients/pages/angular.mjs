import "@angular/compiler";
import { ChangeDetectorRef, Component, inject, provideZonelessChangeDetection } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";
import { provideAuth0, AuthService } from "@auth0/auth0-angular";
import { combineLatest, firstValueFrom } from "rxjs";

globalThis.start = (settings) => {
  class Who {
    text = "loading";
    constructor() {
      const auth = inject(AuthService);
      const changed = inject(ChangeDetectorRef);
      combineLatest([auth.isLoading$, auth.user$]).subscribe(([loading, user]) => {
        this.text = loading ? "loading" : user ? `Hello ${user.email}` : "nobody is logged in";
        changed.markForCheck();
      });
      auth.error$.subscribe((error) => { this.text = `failed: ${error.message}`; changed.markForCheck(); });
      globalThis.app = {
        login: () => firstValueFrom(auth.loginWithRedirect()),
        user: async () => (await firstValueFrom(auth.user$))?.sub ?? null,
        token: () => firstValueFrom(auth.getAccessTokenSilently({ cacheMode: "off" })),
        logout: () => firstValueFrom(auth.logout({ logoutParams: { returnTo: location.origin } })),
      };
    }
  }
  const Root = Component({ selector: "#who", template: "{{ text }}" })(Who) ?? Who;
  return bootstrapApplication(Root, {
    providers: [
      provideZonelessChangeDetection(),
      provideAuth0({
        domain: settings.domain,
        clientId: settings.clientId,
        useRefreshTokens: settings.refresh,
        cacheLocation: settings.refresh ? "localstorage" : "memory",
        authorizationParams: { redirect_uri: location.origin, audience: settings.audience },
      }),
    ],
  });
};
