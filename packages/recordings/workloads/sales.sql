-- Two tables, two indexes, joins, sub-selects, an update, a delete.
create table item(id integer primary key, name text, kind integer, price real);
create table sale(id integer primary key, item integer, day integer, amount integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000)
  insert into item select i, 'item ' || (i * 7919 % 8009), i % 17, i * 0.37 from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 24000)
  insert into sale select i, i * 31 % 8000 + 1, i % 365, i % 13 from n;
create index sale_item on sale(item);
create index item_kind on item(kind, price);
select kind, count(*), sum(amount * price), group_concat(distinct day % 7)
  from item join sale on sale.item = item.id group by kind order by 3 desc;
select name, (select max(day) from sale where item = item.id) from item where name like '%99%' order by name limit 20;
update item set name = upper(name) || '!' where id % 3 = 0;
delete from sale where day between 100 and 200;
select count(*), avg(length(name)) from item;
vacuum;
