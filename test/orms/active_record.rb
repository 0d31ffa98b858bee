# What ActiveRecord promises: as common.js checks it.
require 'active_record'
require 'stringio'

# [page]
ActiveRecord::Base.establish_connection(ENV['DATABASE_URL'])

class Order < ActiveRecord::Base
end
# [end]

ODD = 9007199254740993 # beyond 2^53, and odd: a double makes another number of it
NEW_YEAR = 2117794686566400000
$failed = false

def same(got, wanted, promise)
  if got == wanted
    puts "ok #{promise}"
  else
    puts "not ok #{promise}", "# got #{got.inspect}, wanted #{wanted.inspect}"
    $failed = true
  end
end

def query(sql)
  ActiveRecord::Base.connection.select_rows(sql)
end

def schema
  # [page]
  ActiveRecord::Schema.define do
    create_table :orders, id: :bigint, default: -> { 'snowflake_id()' } do |t|
      t.text :item
    end
  end
  # [end]
end

def insert(item)
  # [page]
  order = Order.create!(item: item)
  # [end]
  order.id
end

def find(id)
  # [page]
  found = Order.find(id)
  # [end]
  [found.id, found.item]
end

def find_all(ids)
  # [page]
  some = Order.where(id: ids)
  # [end]
  some.map(&:item).sort
end

def between(from, to)
  # [page]
  recent = Order.where('id::snowflakeid >= ?::timestamptz AND id::snowflakeid < ?::timestamptz', from, to)
  # [end]
  recent.map(&:item)
end

def batch(items)
  # [page]
  batch = Order.insert_all(items.map { |item| { item: item } }, returning: :id)
  # [end]
  batch.rows.flatten
end

begin
  ActiveRecord::Migration.verbose = false
  schema
  dump = StringIO.new
  ActiveRecord::SchemaDumper.dump(ActiveRecord::Base.connection, dump)
  same dump.string[/create_table "orders".*/], 'create_table "orders", id: :bigint, default: -> { "snowflake_id()" }, force: :cascade do |t|',
       'schema.rb keeps the default'
  ActiveRecord::Base.connection.execute("INSERT INTO orders VALUES (#{ODD - 1}, 'even'), (#{ODD}, 'odd'),
    (snowflake_min('2026-01-01 UTC'), 'new year'), (snowflake_min('2026-01-01 00:00:01 UTC'), 'a second later')")
  id = insert('tea')
  same [id.class, [[id.to_s]]], [Integer, query("SELECT id::text FROM orders WHERE item = 'tea'")], 'an insert gives the ID with every digit'
  same find(ODD), [ODD, 'odd'], 'a row is found by its ID, and not its neighbor'
  same find_all([ODD, NEW_YEAR]), ['new year', 'odd'], 'an IN list finds its rows'
  same between(Time.utc(2026), Time.utc(2026) + 1), ['new year'], 'a range of time finds its rows'
  ids = batch(%w[milk sugar lemon])
  same ids.uniq.size, 3, 'each row of a batch has an ID of its own'
  same ids.map { |one| [one.to_s] }, query("SELECT id::text FROM orders WHERE item IN ('milk', 'sugar', 'lemon') ORDER BY id"),
       'and they are those of the table'
  same [ActiveRecord::Base.connection.pk_and_sequence_for('orders'), ActiveRecord::Base.connection.reset_pk_sequence!('orders')],
       [nil, nil], 'the default is not taken for a sequence'
  begin
    Order.where('id::snowflakeid >= ?', Time.now).load
    same 'it succeeds', 'it fails', 'a time without a type is refused, with a hint'
  rescue ActiveRecord::StatementInvalid => e
    same e.message[/\$1::timestamptz for a parameter/], '$1::timestamptz for a parameter', 'a time without a type is refused, with a hint'
  end
rescue StandardError => e
  puts "not ok it runs: #{e.message.lines.first}", "# #{e.full_message(highlight: false).gsub("\n", "\n# ")}"
  exit 2
end
exit 1 if $failed
