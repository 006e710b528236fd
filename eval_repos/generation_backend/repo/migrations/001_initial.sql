create table profiles (
    id uuid primary key,
    email text not null,
    display_name text,
    credits_balance integer not null default 0,
    is_active boolean not null default true,
    created_at timestamptz not null default now()
);

create table generations (
    id uuid primary key,
    user_id uuid not null references profiles (id),
    model_id text not null,
    prompt text not null,
    negative_prompt text,
    reference_image_url text,
    parameters jsonb not null default '{}',
    num_outputs integer not null default 1,
    status text not null default 'pending',
    cost integer not null,
    media_paths jsonb not null default '[]',
    error_message text,
    processing_seconds double precision,
    created_at timestamptz not null default now(),
    completed_at timestamptz
);

create index generations_user_created on generations (user_id, created_at desc);

create table credit_transactions (
    id bigint generated always as identity primary key,
    user_id uuid not null references profiles (id),
    generation_id uuid references generations (id) on delete set null,
    amount integer not null,
    kind text not null,
    created_at timestamptz not null default now()
);
