"""The example fleet: 25 integrations, and what has become of each of them.

A story says when its next step was, by how long ago that is, and then does it:

    yield ago(days=12, hours=3)
    it.approve()

All stories are played together, in the order of time (`fleet.play`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from keyturn.domain.attempt import Stage
from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.fleet_manifests import Wanted
from keyturn.sandbox.fleet_story import Story

Telling = Iterator[timedelta]
Tell = Callable[[Story], Telling]

ago = timedelta
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_GRACE = timedelta(hours=168)


@dataclass(frozen=True, slots=True)
class Example:
    """One integration of the fleet: its manifest, and its story."""

    wanted: Wanted
    tell: Tell

    @property
    def key(self) -> IntegrationKey:
        """What it is called."""
        return self.wanted.key


# --- onboardings


def asked_for_approval(it: Story, since: timedelta, approvals: int = 0) -> Telling:
    """Nobody has approved it yet, or not enough people have."""
    yield since
    it.onboard()
    if approvals:
        yield since - 2 * _HOUR
        it.approve(note="scopes are what we agreed on")


def asked_for_pair(it: Story, since: timedelta) -> Telling:
    """Approved; Gong's admin has not created the integration yet."""
    yield since + 5 * _HOUR
    it.onboard()
    yield since
    it.approve()


def asked_for_form(it: Story, since: timedelta) -> Telling:
    """StackOne offered no write API then, so somebody has to fill in its form."""
    yield from asked_for_pair(it, since + _DAY)
    yield since
    it.past.vendors.stackone.by_hand = True
    it.hand_in_new()
    it.past.vendors.stackone.by_hand = False


def asked_for_consent(it: Story, since: timedelta) -> Telling:
    """Only the consent is missing."""
    yield from asked_for_pair(it, since + 2 * _DAY)
    yield since
    it.hand_in_new()


def held_up(it: Story, since: timedelta) -> Telling:
    """Somebody suspended its run in Prefect's pages, after the pair was stored: it asks nobody, and does not move."""
    yield from asked_for_pair(it, since + 7 * _HOUR)
    yield since
    it.stops_before = Stage.CREATE_PROFILE
    it.hand_in_new()


def rejected(it: Story, since: timedelta) -> Telling:
    """Somebody did not like the kit."""
    yield since + 3 * _HOUR
    it.onboard()
    yield since
    it.reject("the description does not say what the calls are read for")


def abandoned(it: Story, since: timedelta) -> Telling:
    """Given up by whoever started it."""
    yield from asked_for_pair(it, since + 6 * _DAY)
    yield since
    it.abandon("the customer has bought something else")


# --- in use


def in_use(it: Story, since: timedelta) -> Telling:
    """Onboarded, and nothing has happened since."""
    yield from asked_for_consent(it, since + 4 * _HOUR)
    yield since
    it.consent()


def turned(it: Story, since: timedelta, age: timedelta) -> Telling:
    """Onboarded, and its secret was turned once without trouble."""
    yield from in_use(it, since)
    yield from in_grace(it, age, age)
    yield age - _GRACE - _HOUR
    it.go_on()


def then(it: Story, onboarded: timedelta, since: timedelta, happens: Callable[[Story], object]) -> Telling:
    """Something happens to an integration in use that nobody told keyturn of."""
    yield from in_use(it, onboarded)
    yield since
    happens(it)


def reset(it: Story) -> None:
    """Somebody rotates the secret in Gong, and tells nobody."""
    it.past.vendors.gong.rotate(it.client_id, 0)


def lose_consent(it: Story) -> None:
    """Whoever consented has left the company."""
    it.past.vendors.stackone.befalls(it.account, "error", "invalid_grant")


def delete_in_gong(it: Story) -> None:
    """Somebody tidies up in Gong."""
    it.past.vendors.gong.delete(it.client_id)
    it.past.vendors.stackone.befalls(it.account, "error", "invalid_client")


def edit_profile(it: Story) -> None:
    """Somebody saves the profile's form in StackOne's dashboard."""
    it.past.vendors.stackone.edit_by_hand(it.sealed.manifest.profile_name)


def review_account(it: Story) -> None:
    """StackOne gives the account a status that keyturn does not know."""
    it.past.vendors.stackone.befalls(it.account, "in_review", "")


def close_account(it: Story) -> None:
    """StackOne does not let our key look at the account any more."""
    it.past.vendors.stackone.close(it.account)


# --- rotations


def to_be_approved(it: Story, since: timedelta) -> Telling:
    """A rotation that nobody has approved yet."""
    yield from in_use(it, since + 80 * _DAY)
    yield since
    it.rotate()


def to_be_clicked(it: Story, since: timedelta) -> Telling:
    """Approved; nobody has clicked in Gong yet."""
    yield from to_be_approved(it, since + _DAY)
    yield since
    it.approve()


def to_be_proven(it: Story, since: timedelta) -> Telling:
    """The new secret is in the profile; no refresh has used it yet."""
    yield from to_be_clicked(it, since + 3 * _HOUR)
    yield since
    it.click()


def in_grace(it: Story, applied: timedelta, since: timedelta) -> Telling:
    """Proven by a new link; the older secret lives for the rest of its grace."""
    if not it.client_id:
        yield from in_use(it, applied + 85 * _DAY)
    yield applied + 30 * _HOUR
    it.rotate()
    yield applied + 4 * _HOUR
    it.approve("erin")
    yield applied
    it.click()
    yield since - _HOUR
    it.consent()


def back(it: Story, since: timedelta) -> Telling:
    """StackOne kept something else than the new secret, and refreshes failed; the older one is in the profile again."""
    yield from to_be_clicked(it, since + 28 * _HOUR)
    yield since + 25 * _HOUR
    it.past.vendors.stackone.keeps("garbled")
    it.click()
    it.past.vendors.stackone.keeps("kept")
    yield since + timedelta(minutes=10)
    it.go_on()
    yield since
    it.go_on()


def orphaned(it: Story, since: timedelta) -> Telling:
    """Somebody edited the profile while the new secret waited for its proof: nobody knows which one it holds."""
    yield from to_be_proven(it, since + 5 * _HOUR)
    yield since
    edit_profile(it)
    it.go_on()


def _of(name: str, approvals: int = 1, every_days: int = 90, *, trusted_ips: bool = True) -> Wanted:
    return Wanted(IntegrationKey.parse(name), approvals, every_days, trusted_ips)


FLEET: tuple[Example, ...] = (
    Example(_of("north-sales/production"), partial(asked_for_approval, since=ago(hours=3))),
    Example(_of("south-sales/production", approvals=2), partial(asked_for_approval, since=ago(days=2), approvals=1)),
    Example(_of("east-support/production"), partial(asked_for_pair, since=ago(days=1, hours=2))),
    Example(_of("west-support/production"), partial(asked_for_pair, since=ago(days=9))),
    Example(_of("harbor-finance/production"), partial(asked_for_form, since=ago(hours=20))),
    Example(_of("lakeside-care/production"), partial(asked_for_consent, since=ago(hours=5))),
    Example(_of("orchard-retail/production"), partial(held_up, since=ago(hours=7))),
    Example(_of("quarry-logistics/production"), partial(rejected, since=ago(days=6))),
    Example(_of("quarry-logistics/sandbox"), partial(abandoned, since=ago(days=19))),
    Example(_of("maple-payments/production"), partial(in_use, since=ago(days=12))),
    Example(_of("maple-payments/sandbox"), partial(turned, since=ago(days=140), age=ago(days=48))),
    Example(_of("cedar-telecom/production"), partial(in_use, since=ago(days=76))),
    Example(
        _of("cedar-telecom/sandbox", every_days=365),
        partial(then, onboarded=ago(days=230), since=ago(days=3), happens=review_account),
    ),
    Example(_of("birch-travel/production"), partial(then, onboarded=ago(days=33), since=ago(hours=9), happens=reset)),
    Example(
        _of("birch-travel/sandbox", trusted_ips=False),
        partial(then, onboarded=ago(days=58), since=ago(days=2), happens=lose_consent),
    ),
    Example(
        _of("aspen-insure/production"),
        partial(then, onboarded=ago(days=25), since=ago(hours=30), happens=delete_in_gong),
    ),
    Example(
        _of("aspen-insure/sandbox"), partial(then, onboarded=ago(days=25), since=ago(days=4), happens=edit_profile)
    ),
    Example(_of("willow-media/production"), partial(in_use, since=ago(days=103))),
    Example(
        _of("willow-media/sandbox"), partial(then, onboarded=ago(days=64), since=ago(days=5), happens=close_account)
    ),
    Example(_of("pine-energy/production"), partial(to_be_approved, since=ago(hours=26))),
    Example(_of("pine-energy/sandbox"), partial(to_be_clicked, since=ago(days=1))),
    Example(_of("cove-hotels/production"), partial(to_be_proven, since=ago(hours=3))),
    Example(_of("cove-hotels/sandbox"), partial(in_grace, applied=ago(days=3), since=ago(days=3))),
    Example(_of("delta-freight/production"), partial(back, since=ago(hours=18))),
    Example(_of("delta-freight/sandbox"), partial(orphaned, since=ago(days=1))),
)
"""No two stories of one moment matter to each other."""
