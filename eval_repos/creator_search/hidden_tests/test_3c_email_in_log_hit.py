from hidden_helpers import EMAIL, USER_ID, logs, world  # noqa: F401


def sync_twice(world, logs):  # noqa: F811
    world.load()
    world.fill()
    logs.records.clear()
    from app.services import supabase_auth_service as module

    # One SupabaseUser for both calls: so the second one hits the cache whatever the key is made of.
    supabase_user = module.SupabaseUser(id=USER_ID, email=EMAIL)
    texts = []
    for _ in range(2):
        with world.session() as session:
            user = module.supabase_auth_service.sync_user(supabase_user, session)
            assert (user.id, user.email) == (USER_ID, EMAIL)
        texts.append("\n".join(r.getMessage() for r in logs.records if r.name.startswith(("app", "main"))))
        logs.records.clear()
    return texts


def test_a_hit_does_not_log_the_address(world, logs):  # noqa: F811
    _, hit = sync_twice(world, logs)
    assert EMAIL not in hit and EMAIL.split("@")[0] not in hit
