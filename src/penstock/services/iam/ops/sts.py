"""STS: who is calling, and temporary credentials.

Theory.  A role lets itself be assumed by its trust policy; in another account the caller's own policies must allow it as well.  What is
given out is sealed into the session token (vault.py), so that nothing is written, and every process with the same master key knows it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import AccountId, Millis
from penstock.core.limits import CHAINED_SESSION_S, SESSION_POLICY_ARNS_MAX, SESSION_POLICY_CHARS
from penstock.services.iam.evaluate import Identity, Need, Request, evaluate
from penstock.services.iam.identities import trust_policy
from penstock.services.iam.keys import Circumstances
from penstock.services.iam.managed import TASK_POLICY_ARN
from penstock.services.iam.ops.shapes import IamInput, IamOutput, Tag, check_document
from penstock.services.iam.pattern import Values
from penstock.services.iam.policy import PolicyKind
from penstock.services.iam.principals import PrincipalKind, federated
from penstock.services.iam.records import AWS_ACCOUNT, Role
from penstock.services.iam.service import Iam, Temporary
from penstock.services.iam.vault import Session

ROLE_DEFAULT_S: Final = 3600
USER_SESSION_DEFAULT_S: Final = 43_200
ROOT_SESSION_MAX_S: Final = 3600  # of GetSessionToken with root's credentials
TASK_SESSION_S: Final = 900  # of AssumeRoot, also at most


class GetCallerIdentityRequest(IamInput):
    """Nothing is asked."""


class CallerIdentity(IamOutput):
    """The caller."""

    user_id: str
    account: str
    arn: str


class PolicyDescriptor(IamInput, kw_only=True):
    """A managed policy that is passed to a session."""

    arn: str | None = msgspec.field(name="arn", default=None)


class ProvidedContext(IamInput, kw_only=True):
    """What an identity provider vouches for."""

    provider_arn: str | None = None
    context_assertion: str | None = None


class AssumeRoleRequest(IamInput, kw_only=True):
    """AssumeRole."""

    role_arn: str
    role_session_name: str
    policy_arns: Sequence[PolicyDescriptor] = ()
    policy: str | None = None
    duration_seconds: int | None = None
    external_id: str | None = None
    tags: Sequence[Tag] = ()
    transitive_tag_keys: Sequence[str] = ()
    source_identity: str | None = None
    serial_number: str | None = None
    provided_contexts: Sequence[ProvidedContext] = ()


class AssumeRoleWithWebIdentityRequest(IamInput, kw_only=True):
    """AssumeRoleWithWebIdentity."""

    role_arn: str
    role_session_name: str
    web_identity_token: str
    provider_id: str | None = None
    policy_arns: Sequence[PolicyDescriptor] = ()
    policy: str | None = None
    duration_seconds: int | None = None


class AssumeRootRequest(IamInput, kw_only=True):
    """AssumeRoot."""

    target_principal: str
    task_policy_arn: PolicyDescriptor
    duration_seconds: int = TASK_SESSION_S


class GetSessionTokenRequest(IamInput, kw_only=True):
    """GetSessionToken."""

    duration_seconds: int | None = None
    serial_number: str | None = None


class Credentials(IamOutput, kw_only=True):
    """Temporary credentials."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: Millis


class CredentialsOutput(IamOutput, kw_only=True):
    """An answer of credentials alone."""

    credentials: Credentials


class AssumedRoleUser(IamOutput, kw_only=True):
    """A session of a role."""

    assumed_role_id: str
    arn: str


class AssumeRoleOutput(CredentialsOutput, kw_only=True):
    """AssumeRole's answer."""

    assumed_role_user: AssumedRoleUser
    packed_policy_size: int | None = None  # percent


class WebIdentityOutput(AssumeRoleOutput, kw_only=True):
    """AssumeRoleWithWebIdentity's answer."""

    subject_from_web_identity_token: str
    provider: str
    audience: str


_Passed = AssumeRoleRequest | AssumeRoleWithWebIdentityRequest


async def get_caller_identity(iam: Iam, caller: Caller, request: GetCallerIdentityRequest) -> CallerIdentity:
    """Tell the caller its account and principal.  Always allowed."""
    principal = iam.principal(caller)
    return CallerIdentity(
        user_id=principal.unique_id or principal.account, account=principal.account, arn=principal.arn
    )


async def assume_role(iam: Iam, caller: Caller, request: AssumeRoleRequest) -> AssumeRoleOutput:
    """Give out credentials of a role to whom its trust policy trusts.

    Raises DENIED, also for a role that does not exist, DENIED_ROOT, INVALID, MALFORMED_POLICY, PACKED_TOO_LARGE, NO_POLICY.
    """
    identity = iam.identity(caller)
    principal = identity.principal
    refusal = IamError.DENIED(principal=principal.arn, action="sts:AssumeRole", resource=request.role_arn)
    _refuse_what_is_not_kept(request)
    if principal.kind is PrincipalKind.ROOT and iam.identities.find_key(caller.access_key_id) is not None:
        raise IamError.DENIED_ROOT()
    role = iam.identities.find_role(request.role_arn)
    others: dict[str, Values] = {"sts:rolesessionname": (request.role_session_name,)}
    if request.external_id is not None:
        others["sts:externalid"] = (request.external_id,)
    if role is None or not _trusted(iam, caller, identity, role, "sts:AssumeRole", others):
        raise refusal
    chained = principal.kind is PrincipalKind.SESSION
    session = _session(iam, role, request, longest_s=CHAINED_SESSION_S if chained else None)
    made = await iam.temporary(session)
    return AssumeRoleOutput(
        credentials=_told(made), assumed_role_user=_assumed(role, session), packed_policy_size=_packed(request)
    )


async def assume_role_with_web_identity(
    iam: Iam, caller: Caller, request: AssumeRoleWithWebIdentityRequest
) -> WebIdentityOutput:
    """Give out credentials of a role to whom an OpenID Connect issuer vouches for; called without credentials.

    Raises TOKEN_REFUSED, TOKEN_OUTDATED, KEYS_UNREACHABLE, DENIED_WEB, and what `assume_role` raises of the session.
    """
    if request.provider_id is not None:
        raise IamError.INVALID(text="ProviderId is for OAuth 2.0 access tokens, which are not supported.")
    token = await iam.issuers.verify(request.web_identity_token)
    issuer = token.issuer.partition("://")[2]
    role = iam.identities.find_role(request.role_arn)
    if role is None:
        raise IamError.DENIED_WEB()
    claims: dict[str, Values] = {f"{issuer}:sub": (token.subject,), f"{issuer}:aud": (token.audience,)}
    claims = {name.lower(): values for name, values in claims.items()}
    provider = f"arn:aws:iam::{role.account}:oidc-provider/{issuer}"
    others: dict[str, Values] = {"sts:rolesessionname": (request.role_session_name,)}
    if not _trusted(
        iam, caller, Identity(federated(provider, claims)), role, "sts:AssumeRoleWithWebIdentity", others | claims
    ):
        raise IamError.DENIED_WEB()
    session = _session(iam, role, request, provider=provider)
    made = await iam.temporary(session)
    return WebIdentityOutput(
        credentials=_told(made),
        assumed_role_user=_assumed(role, session),
        packed_policy_size=_packed(request),
        subject_from_web_identity_token=token.subject,
        provider=provider,
        audience=token.audience,
    )


async def assume_root(iam: Iam, caller: Caller, request: AssumeRootRequest) -> CredentialsOutput:
    """Let the account of the settings do a task as the root of another: of Penstock's tasks there is one, to make credentials.

    Raises DENIED, INVALID.
    """
    identity = iam.identity(caller)
    account = request.target_principal.removeprefix("arn:aws:iam::").removesuffix(":root")
    if len(account) != 12 or not account.isdecimal() or not account.isascii():
        raise IamError.INVALID(
            text="TargetPrincipal must be an account id or the ARN of a root."
        )  # UNVERIFIED: wording
    if request.task_policy_arn.arn != TASK_POLICY_ARN:
        raise IamError.INVALID(text=f"TaskPolicyArn must be {TASK_POLICY_ARN}.")
    arn = f"arn:aws:iam::{account}:root"
    asked = Request("sts:AssumeRoot", arn, identity.principal.account)
    if identity.principal.account != iam.management or not evaluate(identity, asked).allowed:
        raise IamError.DENIED(principal=identity.principal.arn, action="sts:AssumeRoot", resource=arn)
    now_ms = iam.clock.now_ms()
    ends_ms = Millis(now_ms + (request.duration_seconds or TASK_SESSION_S) * 1000)
    session = Session("root", AccountId(account), "", account, "", now_ms, ends_ms, None, (TASK_POLICY_ARN,))
    return CredentialsOutput(credentials=_told(await iam.temporary(session)))


async def get_session_token(iam: Iam, caller: Caller, request: GetSessionTokenRequest) -> CredentialsOutput:
    """Give out temporary credentials for who calls: a user, or the root.  Raises DENIED_SESSION."""
    principal = iam.principal(caller)
    if caller.session_token is not None and iam.identities.find_session(caller.access_key_id, caller.session_token):
        raise IamError.DENIED_SESSION(operation="GetSessionToken")
    _refuse_mfa(request.serial_number)
    now_ms = iam.clock.now_ms()
    lasts_s = request.duration_seconds or USER_SESSION_DEFAULT_S
    account = AccountId(principal.account)
    if principal.kind is PrincipalKind.USER:
        name = principal.arn.rpartition("/")[2]
        ends_ms = Millis(now_ms + lasts_s * 1000)
        session = Session("user", account, name, principal.unique_id, "", now_ms, ends_ms)
    else:
        ends_ms = Millis(now_ms + min(lasts_s, ROOT_SESSION_MAX_S) * 1000)
        session = Session("root", account, "", account, "", now_ms, ends_ms)
    return CredentialsOutput(credentials=_told(await iam.temporary(session)))


def _refuse_what_is_not_kept(request: AssumeRoleRequest) -> None:
    for name, given in (
        ("Tags", request.tags),
        ("TransitiveTagKeys", request.transitive_tag_keys),
        ("SourceIdentity", request.source_identity),
        ("ProvidedContexts", request.provided_contexts),
    ):
        if given:
            raise IamError.INVALID(text=f"{name} of sessions are not supported by Penstock.")
    _refuse_mfa(request.serial_number)


def _refuse_mfa(serial_number: str | None) -> None:
    if serial_number is not None:  # nobody has a device
        raise IamError.INVALID(text="SerialNumber: multi-factor authentication is not supported by Penstock.")


def _trusted(iam: Iam, caller: Caller, identity: Identity, role: Role, action: str, others: dict[str, Values]) -> bool:
    policy = trust_policy(role.trust)
    if policy is None:
        return False
    facts = Circumstances(
        iam.clock.now_ms(),
        secure=caller.secure,
        source_ip=caller.source_ip,
        user_agent=caller.user_agent,
        resource_tags=role.tags,
        others=others,
    )
    return evaluate(identity, Request(action, role.arn, role.account, policy, facts.lookup, Need.TRUST)).allowed


def _session(iam: Iam, role: Role, request: _Passed, *, longest_s: int | None = None, provider: str = "") -> Session:
    """The session of a role.  Raises INVALID, MALFORMED_POLICY, PACKED_TOO_LARGE, NO_POLICY."""
    lasts_s = request.duration_seconds or min(ROLE_DEFAULT_S, role.max_session_s)
    if lasts_s > role.max_session_s:
        raise IamError.INVALID(text="The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if longest_s is not None and lasts_s > longest_s:
        raise IamError.INVALID(
            text="The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    arns = tuple(each.arn for each in request.policy_arns if each.arn is not None)
    for arn in arns:
        found = iam.identities.find_policy(arn)
        if found is None or found.account not in (AWS_ACCOUNT, role.account):
            raise IamError.NO_POLICY(arn=arn)
    if request.policy is not None:
        check_document(request.policy, PolicyKind.IDENTITY)
    if len(request.policy or "") > SESSION_POLICY_CHARS or len(arns) > SESSION_POLICY_ARNS_MAX:
        raise IamError.PACKED_TOO_LARGE(limit=SESSION_POLICY_CHARS)
    now_ms = iam.clock.now_ms()
    ends_ms = Millis(now_ms + lasts_s * 1000)
    name = request.role_session_name
    return Session("role", role.account, role.name, role.uid, name, now_ms, ends_ms, request.policy, arns, provider)


def _packed(request: _Passed) -> int | None:
    """How much of the room for session policies is taken, in percent; AWS packs them, so its numbers are lower."""
    chars = len(request.policy or "") + sum(len(each.arn or "") for each in request.policy_arns)
    return min(100, -(-chars * 100 // SESSION_POLICY_CHARS)) if chars else None


def _assumed(role: Role, session: Session) -> AssumedRoleUser:
    arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session.session}"
    return AssumedRoleUser(assumed_role_id=f"{role.uid}:{session.session}", arn=arn)


def _told(made: Temporary) -> Credentials:
    return Credentials(
        access_key_id=made.key_id,
        secret_access_key=made.secret,
        session_token=made.token,
        expiration=made.expires_ms,
    )
