"""A twin of Gong: Admin center, consent page, token endpoint and a slice of the public API (facts: gong.md).

Human pages and the forms a scripted person posts, URL-encoded (`*`: may be given several times). With `API` for
/admin/ecosystem/api/integrations:

| request | fields |
|---|---|
| GET, POST /sign-in | `person` = tessa (Tech admin), bruno (Business admin), rita (Team member); `next` = a path |
| POST /sign-out | |
| GET /admin, /admin/ecosystem, /admin/ecosystem/api | |
| GET API | the list |
| GET API/new | the form |
| POST API | creates an integration: the fields below |
| POST API/{id}/show-secret | page with `<code data-field="client-secret">` |
| GET, POST API/{id}/edit | the same fields |
| GET API/{id}/credentials | the rotation form |
| POST API/{id}/rotate-secret | `grace_hours` 0 to 168, `confirm` = yes; shows the new secret, once |
| GET, POST API/{id}/trusted-ips | `access_token_ips`, `refresh_token_ips`, one address or network per line |
| POST API/{id}/delete | |
| GET /oauth2/authorize | `client_id`, `response_type`, `scope`, `redirect_uri`, `state` |
| POST /oauth2/authorize | the same as form fields, and `decision` = approve or deny |

The fields of an integration: `name`, `description`, `short_description`, `scopes`*, `privacy_policy_url`, `terms_url`,
`help_url`, `authorization_page_url`; one entry per line in `redirect_uris`, `contact_emails`, `domains`; if posted as
`multipart/form-data`, the files `logo_small` and `logo_large`. A refused form is shown again with 422.

Pages show values as `<code data-field="client-id" data-integration="{id}">` and `<code data-field="client-secret">`.
Machines use POST /oauth2/generate-customer-token, GET /customers/us-49467/v2/users and …/v2/workspaces.
The control surface is described in `control.py`; this twin adds POST /_twin/revoke: all tokens die, or those of one
client (`{"client_id": "…"}`), as if the customer had withdrawn consent. Switches are described in `gong/options.py`.

Assumed, for want of facts: name, one scope and one redirect URI are mandatory; only the length of the grace is limited.
"""
