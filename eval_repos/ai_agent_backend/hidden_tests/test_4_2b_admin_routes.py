def test_admin_api(service, tools):
    client = service(ADMIN_API_ENABLED="true").client
    user = tools.sign_in(client)
    admin = tools.sign_in(client, "root@example.org", "admin")
    assert client.get("/admin/stats").status_code == 401
    assert client.get("/admin/stats", headers=user).status_code == 403
    assert client.get("/admin/stats", headers=admin).json()["users"] == 2
    assert client.put("/admin/users/1/plan/pro", headers=user).status_code == 403
    assert client.put("/admin/users/1/plan/pro", headers=admin).json() == {"plan": "pro"}
