-- Both functions return the new balance; deduct_credits returns null when the balance is too small.
create or replace function deduct_credits(p_user_id uuid, p_amount integer, p_generation_id uuid)
returns integer language plpgsql as $$
declare new_balance integer;
begin
    update profiles set credits_balance = credits_balance - p_amount
     where id = p_user_id and credits_balance >= p_amount
     returning credits_balance into new_balance;
    if new_balance is null then
        return null;
    end if;
    insert into credit_transactions (user_id, generation_id, amount, kind)
    values (p_user_id, p_generation_id, -p_amount, 'usage');
    return new_balance;
end $$;

create or replace function refund_credits(p_user_id uuid, p_amount integer, p_generation_id uuid)
returns integer language plpgsql as $$
declare new_balance integer;
begin
    update profiles set credits_balance = credits_balance + p_amount
     where id = p_user_id returning credits_balance into new_balance;
    insert into credit_transactions (user_id, generation_id, amount, kind)
    values (p_user_id, p_generation_id, p_amount, 'refund');
    return new_balance;
end $$;
