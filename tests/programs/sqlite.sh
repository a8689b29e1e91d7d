#!/usr/bin/env bash
# SQLite: 300,000 rows, indices, joins and a full dump, in memory and in a file.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need sqlite3

active sqlite3 :memory: 'select 1;'

cat >"$in/work.sql" <<'END'
pragma cache_size = -40000;
begin;
create table item (id integer primary key, name text, score real, owner int, note text);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 300000)
insert into item
    select i, 'name' || (i * 7919 % 300007), (i * 104729 % 1000003) / 7.0, i % 5003,
        substr('abcdefghijklmnopqrstuvwxyz', i % 20, i % 7) from n;
create index by_name on item (name);
create index by_owner on item (owner, score desc);
create table owner as select distinct owner as id, 'owner' || owner as name from item;
create unique index owner_id on owner (id);
commit;
analyze;
select count(*), sum(score), group_concat(note, '') from item where id % 1000 = 7;
select o.name, count(*), max(i.score), min(i.name) from item i join owner o on o.id = i.owner
    group by o.name order by 3 desc limit 50;
select a.id, b.id from item a join item b on a.name = b.name and a.id < b.id order by 1 limit 20;
select name, rank() over (partition by owner % 10 order by score) from item order by 2, 1 limit 30;
update item set name = upper(name), score = score * 2 where id % 3 = 0;
delete from item where owner between 1000 and 1999;
select json_group_array(json_object('id', id, 'name', name)) from item where id < 500;
select sum(length(name)), count(distinct note) from item where name like '%9%';
vacuum;
pragma integrity_check;
END

dumped() {
    sqlite3 file.db <"$in/work.sql"
    sqlite3 file.db .dump | sha256sum
}

same "in memory" sqlite3 :memory: ".read $in/work.sql"
same "in a file, dumped" dumped
finish
