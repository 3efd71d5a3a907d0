//! OpenID Connect: discovery, JWKS cache, code and PKCE, device flow, token validation.
