"""Which names say that data decides about access, or belongs to one device or session."""

from __future__ import annotations

import pytest

from auth0_meta.checks.placement import authorization, device_state

DECIDE_ABOUT_ACCESS = [
    "feature_flags",
    "billing.featureFlags",
    "role",
    "roles",
    "Roles",
    "userRole",
    "user_roles",
    "app_roles",
    "org.roles",
    "realm_access.roles",
    "organizationRole",
    "admin",
    "isAdmin",
    "is_admin",
    "is_superuser",
    "isStaff",
    "is_moderator",
    "permissions",
    "Permissions",
    "billing_permissions",
    "privileges",
    "entitlements",
    "acl",
    "access_level",
    "access_rights",
    "permissionLevel",
    "scope",
    "scopes",
    "oauth_scopes",
    "plan",
    "subscription_plan",
    "subscriptionPlan",
    "subscription.plan",
    "account.permissions",
    "plan_id",
    "account_tier",
    "tier",
    "membership_level",
    "is_premium",
    "isPro",
    "subscription",
    "subscription_status",
    "groups",
    "ad_groups",
    "security_groups",
    "memberOf",
    "canDeleteUsers",
    "can_manage_billing",
    "is_owner",
    "rol",
    "admin_level",
]
DO_NOT = [
    "role_model",
    "job_role",
    "job.role",
    "experience.role",
    "favorite_roles",
    "roleplay_character",
    "meal_plan",
    "workout_plan",
    "floor_plan",
    "plan_view",
    "planet",
    "planner",
    "explanation",
    "permissions_dialog_seen",
    "notification_permission",
    "push.permissions",
    "camera_permissions",
    "administrative_area",
    "admin_email_opt_in",
    "badminton",
    "blood_group",
    "age_group",
    "group_size",
    "group",
    "study_groups",
    "research_grants",
    "scope_note",
    "telescope",
    "horoscope",
    "can_swim",
    "canReceiveNewsletter",
    "is_member",
    "is_paid",
    "has_pets",
    "tier_list",
    "plans",
    "subscriptions",
    "newsletter_subscription",
    "payroll_day",
    "parole",
    "scroll_position",
    "theme",
    "名前",
    "2",
    '""',
]
OF_A_DEVICE_OR_SESSION = [
    "device_id",
    "deviceId",
    "devices",
    "last_device",
    "lastUsedDevice",
    "trusted_devices",
    "known_devices",
    "mfa_remembered_devices",
    "deviceInfo",
    "device_fingerprint",
    "browser_fingerprint",
    "browser",
    "remembered_browsers",
    "user_agent",
    "lastUserAgent",
    "security.last_user_agent",
    "session",
    "sessions",
    "session_id",
    "sessionIds",
    "current_session",
    "last_session",
    "active_sessions",
    "login_sessions",
    "last_anonymous_session",
    "linked_sessions",
    "sid",
    "current_sid",
    "ip",
    "lastLoginIp",
    "last_login_ip",
    "last_seen_ip",
    "push_token",
    "expo_push_token",
    "fcmToken",
    "refresh_token_id",
]
OF_NO_DEVICE = [
    "device_preference",
    "preferred_device",
    "favorite_device_color",
    "device_count",
    "smart_devices",
    "medical_device",
    "yoga_sessions",
    "sessions_attended",
    "saved_sessions",
    "obsession",
    "session_reminder_minutes",
    "allowed_ips",
    "trusted_ips",
    "trip",
    "recipient",
    "zip",
    "consent.ip",
    "tos.accepted.user_agent",
    "signup_ip",
    "browser_extension_installed",
    "fingerprint_enabled",
    "key_fingerprint",
    "push_enabled",
    "user_agent_of_change_note",
    "token_version",
    "objectSid",
    "side",
]


@pytest.mark.parametrize("path", DECIDE_ABOUT_ACCESS)
def test_what_decides_about_access_is_known_by_its_name(path: str) -> None:
    """However the words are joined, and at any level."""
    assert authorization(tuple(path.split(".")))


@pytest.mark.parametrize("path", DO_NOT)
def test_other_plans_roles_and_groups_are_left_alone(path: str) -> None:
    """A word that only resembles one of these, or is qualified by everyday life, says nothing about access."""
    assert not authorization(tuple(path.split(".")))


@pytest.mark.parametrize("path", OF_A_DEVICE_OR_SESSION)
def test_data_of_a_device_or_session_is_known_by_its_name(path: str) -> None:
    """However the words are joined, and at any level."""
    assert device_state(tuple(path.split(".")))


@pytest.mark.parametrize("path", OF_NO_DEVICE)
def test_devices_and_sessions_of_everyday_life_are_left_alone(path: str) -> None:
    """So is the address in the record of what somebody agreed to."""
    assert not device_state(tuple(path.split(".")))
