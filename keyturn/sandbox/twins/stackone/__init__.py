"""A twin of StackOne: dashboard, connect page and platform API of one project (facts: stackone.md).

Human pages and the forms a scripted person posts, URL-encoded (`*`: may be given several times). With `PROFILES` for
/dashboard/connector-profiles:

| request | fields |
|---|---|
| GET, POST /dashboard/sign-in | `person` = pia (Project Admin) or vik (Viewer); `next` = a path |
| POST /dashboard/sign-out | |
| GET PROFILES, /dashboard/accounts | the lists, with the project id |
| GET PROFILES/new | query: `search`, and `connector` once chosen |
| POST PROFILES | `connector` = gong, `type` = oauth2, and the fields of a profile |
| GET PROFILES/{id}/edit | the form |
| POST PROFILES/{id}/edit | the fields of a profile; an empty name, id or secret stays as it was |
| POST PROFILES/{id}/disable, /enable, /default, /delete | |
| GET /connect | the connect page; query: `token` (from `auth_link_url`) |
| POST /connect | `token`; 303 to Gong's consent page |
| GET /connect/oauth2/gong/callback | where Gong sends the browser back to |

The fields of a profile: `name`, `client_id`, `client_secret`, `scopes`, `actions`*. A refused form comes back with 422.

Pages show values as `<code data-field="profile-id">`, `<code data-field="project-id">`; the page after consent has
`<p data-field="outcome" data-status="authenticated|error|cancelled|expired">`.

The platform API is what `openapi.py` lists, live at /oas/stackone.json. The control surface is described in
`control.py`; this twin adds POST /_twin/accounts/{id} `{"status": "error"}`, which sets an account's status.
Switches are described in `stackone/options.py`.

Assumed, for want of facts: the first profile of a connector is its default; an action of an account in error is tried
all the same and a success heals it; `updated_at` of an account does not move when its token is refreshed.
"""
