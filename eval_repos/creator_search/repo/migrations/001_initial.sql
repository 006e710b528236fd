create table users (
    id varchar(36) primary key,
    email varchar(320) not null,
    full_name varchar(200),
    role varchar(20) not null default 'member',
    status varchar(20) not null default 'active',
    credits integer not null default 0,
    last_seen_at timestamptz,
    created_at timestamptz not null
);

create table profiles (
    id serial primary key,
    username varchar(100) not null unique,
    full_name varchar(200),
    category varchar(100),
    followers_count integer not null default 0,
    following_count integer not null default 0,
    posts_count integer not null default 0,
    engagement_rate double precision,
    ai_analyzed_at timestamptz,
    updated_at timestamptz not null
);

create table posts (
    id serial primary key,
    profile_id integer not null references profiles (id) on delete cascade,
    caption text,
    likes_count integer not null default 0,
    comments_count integer not null default 0,
    ai_analyzed_at timestamptz,
    posted_at timestamptz not null
);

create table unlocked_profiles (
    id serial primary key,
    user_id varchar(36) not null references users (id) on delete cascade,
    profile_id integer not null references profiles (id) on delete cascade,
    credits_spent integer not null,
    unlocked_at timestamptz not null,
    unique (user_id, profile_id)
);

create table creator_lists (
    id serial primary key,
    user_id varchar(36) not null references users (id) on delete cascade,
    name varchar(100) not null,
    created_at timestamptz not null,
    unique (user_id, name)
);

create table creator_list_items (
    list_id integer not null references creator_lists (id) on delete cascade,
    profile_id integer not null references profiles (id) on delete cascade,
    added_at timestamptz not null,
    primary key (list_id, profile_id)
);
